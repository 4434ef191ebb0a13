// The budget of the first page: what a browser must load before the login form stands, gzipped.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET = 150_000;
const dist = new URL("../dist", import.meta.url).pathname;
const manifestPath = join(dist, ".vite/manifest.json");
if (!existsSync(manifestPath)) {
  console.error("no build found: run `npm run build` first");
  process.exit(2);
}
const manifest = JSON.parse(readFileSync(manifestPath, "utf8"));

function closure(keys) {
  const seen = new Set();
  const queue = [...keys];
  for (let key = queue.pop(); key; key = queue.pop()) {
    if (seen.has(key)) continue;
    seen.add(key);
    queue.push(...(manifest[key].imports ?? []));
  }
  return [...seen].map((key) => manifest[key].file);
}
const weight = (files) =>
  files.reduce((sum, file) => sum + gzipSync(readFileSync(join(dist, file)), { level: 9 }).length, 0);
const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const login = Object.keys(manifest).find((key) => key.includes("routes/login.tsx"));
const map = Object.keys(manifest).find((key) => key.includes("routes/_auth/map.tsx"));
if (!entry || !login || !map)
  throw new Error("the manifest does not name the entry, the login and the map chunk");

const first = closure([entry, login]);
const bytes = weight(first);
const rest = weight(closure([entry, map]));
console.log(
  `first page: ${(bytes / 1000).toFixed(1)} kB of JS, gzipped, in ${first.length} files (budget ${BUDGET / 1000} kB); with the map ${(rest / 1000).toFixed(1)} kB`,
);
if (first.includes(manifest[map].file)) {
  console.error("the map is part of the first page; it must stay lazy");
  process.exit(1);
}
if (bytes > BUDGET) {
  console.error("over budget");
  process.exit(1);
}
