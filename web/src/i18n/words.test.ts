import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { addWords, useTranslation as words } from ".";

addWords({
  test: {
    hello: "Hello {{name}}, {{name}}",
    apples_one: "{{count}} apple",
    apples_other: "{{count}} apples",
  },
});
// The words of this test are in no file, so that their keys are no `Key`.
const t = words().t as (key: string, values?: object) => string;

describe("a text", () => {
  it("is filled in, each time a name occurs, and never read as a pattern", () => {
    expect(t("test.hello", { name: "$& {{count}}" })).toBe("Hello $& {{count}}, $& {{count}}");
  });
  it.each([
    [0, "0 apples"],
    [1, "1 apple"],
    [2, "2 apples"],
  ])("counts %d", (count, text) => {
    expect(t("test.apples", { count })).toBe(text);
  });
  it("that is missing shows its key, or what stands in for it", () => {
    expect(t("test.nothing")).toBe("test.nothing");
    expect(t("test.hello.deeper")).toBe("test.hello.deeper");
    expect(t("test")).toBe("test");
    expect(t("test.nothing", { defaultValue: "raw" })).toBe("raw");
  });
  it("says what lacks its value", () => {
    expect(t("test.hello")).toBe("Hello {{name}}, {{name}}");
    expect(t("test.hello", { name: null })).toBe("Hello , ");
  });
});

const files = import.meta.glob<Tree>("/src/i18n/en/*.json", { import: "default", eager: true });
interface Tree {
  [key: string]: string | Tree;
}
function flatten(tree: Tree, prefix = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]): [string, string][] =>
    typeof value === "string" ? [[prefix + key, value]] : flatten(value, `${prefix}${key}.`),
  );
}
/** Lines for a configuration file, and a header by its name: they are no prose. */
const CODE = new Set(["frame.notLiveMend", "delivery.id.webhooks"]);
/** What people type, in words of their own. No page shows it. */
const TYPED = /^palette\.(also|hintFor|filler)\b/;
const texts = Object.values(files)
  .flatMap((file) => flatten(file))
  .filter(([key]) => !CODE.has(key) && !TYPED.test(key));
const failing = (breaks: (text: string) => boolean) =>
  texts
    .filter(([, text]) => breaks(text.replace(/\{\{\w+\}\}/g, "X")))
    .map(([key, text]) => `${key}: ${text}`);

// Tests run in `web`.
const glossary = readFileSync("../docs/glossary.md", "utf8");

/** The spellings of the last column. */
const forbidden = glossary
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .flatMap((line) =>
    [...(line.split("|").at(-2) ?? "").matchAll(/`([^`]+)`/g)].map(([, word]) => word ?? ""),
  );

/** A spelling that differs only by its capitals from others, such as `id`, is wrong as it is written. */
function uses(text: string, word: string): boolean {
  const flags = /^(id|ids|Id|url|client id)$/.test(word) ? "u" : "iu";
  return new RegExp(`(?<![\\p{L}\\p{N}])${word.replace(/[.*+?]/g, "\\$&")}(?![\\p{L}\\p{N}])`, flags).test(
    text,
  );
}

describe("the words of the pages", () => {
  it("keep the glossary", () => {
    expect(forbidden.length).toBeGreaterThan(80);
    expect(
      forbidden.flatMap((word) => failing((text) => uses(text, word)).map((at) => `${word} in ${at}`)),
    ).toEqual([]);
  });
  it.each(["README.md", "docs/user-guide.md", "docs/operations.md"])("are those of %s", (file) => {
    // What people type, and what the server prints, is no prose.
    const prose = readFileSync(`../${file}`, "utf8")
      .replace(/^```[\s\S]*?^```/gm, "")
      .replace(/`[^`]*`/g, "X")
      .replace(/\]\([^)]*\)/g, "]");
    expect(prose.length).toBeGreaterThan(1000);
    expect(
      prose
        .split("\n\n")
        .flatMap((part) =>
          forbidden.filter((word) => uses(part, word)).map((word) => `${word}: ${part.slice(0, 80)}`),
        ),
    ).toEqual([]);
  });
  it.each<[string, (text: string) => boolean]>([
    ["a doubled space", (text) => text.includes("  ")],
    ["a space at an end", (text) => text !== text.trim()],
    ["straight quotes", (text) => text.includes('"')],
    ["three dots", (text) => text.includes("...")],
    [
      "a sentence of more than 30 words",
      (text) => text.split(/[.!?:](?:\s|$)/).some((one) => one.split(/\s+/).length > 30),
    ],
  ])("have nowhere %s", (_, breaks) => {
    expect(failing(breaks)).toEqual([]);
  });
});
