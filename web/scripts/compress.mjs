// After the build: a .br and a .gz beside every text asset, so that the server compresses nothing at run time.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const SMALLEST = 1024;
const TEXT = /\.(js|css|svg|json|txt|map)$/;
const folder = new URL("../dist/assets", import.meta.url).pathname;

let files = 0;
for (const name of readdirSync(folder)) {
  const path = join(folder, name);
  if (!TEXT.test(name) || statSync(path).size < SMALLEST) continue;
  const raw = readFileSync(path);
  const smaller = {
    br: brotliCompressSync(raw, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
    }),
    gz: gzipSync(raw, { level: 9 }),
  };
  for (const [ending, bytes] of Object.entries(smaller)) {
    if (bytes.length < raw.length) writeFileSync(`${path}.${ending}`, bytes);
  }
  files += 1;
}
console.log(`compressed ${files} files`);
