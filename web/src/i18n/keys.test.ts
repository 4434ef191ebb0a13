import { describe, expect, it } from "vitest";
import en from "./en.json";

const sources = import.meta.glob<string>(["../**/*.{ts,tsx}", "!../**/*.test.*", "!../**/*.gen.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

function flatten(tree: object, prefix = ""): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "string" ? [prefix + key] : flatten(value, `${prefix}${key}.`),
  );
}
const plain = (key: string) => key.replace(/_(one|other|zero|few|many)$/, "");
const known = new Set(flatten(en).map(plain));
const text = Object.values(sources).join("\n");
// A whole key between quotes anywhere; and the fixed beginning of a key that is put together.
const literal = new Set(
  [...text.matchAll(/["'`]([a-z][A-Za-z]*(?:\.[A-Za-z_]+)+)["'`]/g)].map((match) => match[1] ?? ""),
);
const started = [...text.matchAll(/\bt\(\s*`([A-Za-z.]+\.)\$\{/g)].map((match) => match[1] ?? "");
const called = [...text.matchAll(/\bt\(\s*"([^"]+)"/g)].map((match) => match[1] ?? "");

describe("the words", () => {
  it("has every key that is asked for", () => {
    expect(called.filter((key) => !known.has(key))).toEqual([]);
    expect(started.filter((start) => ![...known].some((key) => key.startsWith(start)))).toEqual([]);
  });
  it("has no key that nobody asks for", () => {
    expect(
      [...known].filter((key) => !literal.has(key) && !started.some((start) => key.startsWith(start))),
    ).toEqual([]);
  });
});
