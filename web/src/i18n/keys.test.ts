import { describe, expect, it } from "vitest";
import type { Role } from "#/api/schema";
import { permissions, scopeKey } from "#/domain/scopes";
import openapi from "../../../docs/openapi.json";
import { addWords, isKey, useTranslation as translation } from ".";
import account from "./en/account.json";

const sources = import.meta.glob<string>(["/src/**/*.{ts,tsx}", "!/src/**/*.test.*", "!/src/**/*.gen.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const words = import.meta.glob<Record<string, object>>("/src/i18n/en/*.json", {
  import: "default",
  eager: true,
});
const FIRST = "/src/i18n/en/first.json";

function flatten(tree: object, prefix = ""): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "string" ? [prefix + key] : flatten(value, `${prefix}${key}.`),
  );
}
const plain = (key: string) => key.replace(/_(one|other|zero|few|many)$/, "");
const keysOf = (file: string) => flatten(words[file] ?? {}).map(plain);
const known = new Set(Object.keys(words).flatMap(keysOf));

const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((m) => m[1] ?? "");
const startsIn = (text: string) => matches(text, /\bt\(\s*`([A-Za-z.]+\.)\$\{/g);
const callsIn = (text: string) => matches(text, /\bt\(\s*"([^"]+)"/g);
// A whole key between quotes anywhere, which includes `t(x ? "a.b" : "c.d")`.
const literalsIn = (text: string) => matches(text, /["'`]([a-z][A-Za-z]*(?:\.[A-Za-z_]+)+)["'`]/g);

const text = Object.values(sources).join("\n");
const literal = new Set(literalsIn(text));
const started = startsIn(text);

/** The file that an import names, or nothing when it is a package. */
function target(from: string, name: string): string | undefined {
  const path = name.startsWith("#/")
    ? `/src/${name.slice(2)}`
    : name.startsWith(".")
      ? new URL(name, `file://${from}`).pathname
      : "";
  return [path, `${path}.ts`, `${path}.tsx`, `${path}/index.ts`].find(
    (one) => one in sources || one in words,
  );
}

/** A file with everything that is loaded with it; what it loads later, by `import()`, is not. */
function closure(start: string): Set<string> {
  const seen = new Set<string>();
  const queue = [start];
  for (let file = queue.pop(); file; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    // Types are gone when the code runs.
    const names = matches(sources[file] ?? "", /^(?:import|export)\b(?! type)[^;]*?["']([^"']+)["'];$/gm);
    for (const name of names) {
      const next = target(file, name);
      if (next) queue.push(next);
    }
  }
  return seen;
}

const laterParts = Object.entries(sources).flatMap(([from, source]) =>
  matches(source, /\bimport\("([^"]+)"\)/g).flatMap((name) => target(from, name) ?? []),
);
const frame = closure("/src/features/frame/frame.tsx");
const roots = [
  ...Object.keys(sources).filter((file) => /^\/src\/routes\/.*\.tsx$/.test(file)),
  ...laterParts,
];
/** What stands inside the frame has the frame's words as well. */
const inFrame = (file: string) =>
  /^\/src\/routes\/_auth[./]/.test(file) ||
  (/^\/src\/features\//.test(file) && !file.startsWith("/src/features/auth/"));

describe("the words", () => {
  it("does not compile a key whose words cannot be known, which `tsc` reads here", () => {
    const [role, word]: [Role, string] = ["viewer", "viewer"];
    const { t } = translation();
    t(`roles.${role}`);
    // @ts-expect-error a plain text in a key: nobody knows whether there are words for it
    t(`roles.${word}`);
    // @ts-expect-error there is no such word
    expect(t("roles.emperor")).toBe("roles.emperor");
    // @ts-expect-error a text in two forms needs its count
    t("table.selected");
  });
  it("has no key that is forced past the compiler", () => {
    const forced = Object.entries(sources).flatMap(([file, source]) =>
      matches(source, /(\bt\(\s*(?:`[^`]*`|[\w.]+)\s+as\s)/g).map((call) => `${file}: ${call}`),
    );
    expect(forced).toEqual([]);
  });
  it("has a sentence for each permission that a token can have", () => {
    const { enum: known } = openapi.components.schemas.TokenIn.properties.scopes.items;
    const { t } = translation();
    addWords(account);
    expect(known.filter((scope) => !isKey(scopeKey(scope) ?? ""))).toEqual([]);
    expect(known.map((scope) => t(scopeKey(scope) ?? "common.save"))).not.toContainEqual(
      expect.stringMatching(/scope|:/),
    );
    expect(permissions.toSorted()).toEqual(known.toSorted());
  });

  it("has every key that is asked for", () => {
    expect(callsIn(text).filter((key) => !known.has(key))).toEqual([]);
    expect(started.filter((start) => ![...known].some((key) => key.startsWith(start)))).toEqual([]);
  });
  it("has no key that nobody asks for", () => {
    expect(
      [...known].filter((key) => !literal.has(key) && !started.some((start) => key.startsWith(start))),
    ).toEqual([]);
  });
  it("has every group in one file only", () => {
    const groups = Object.values(words).flatMap((file) => Object.keys(file));
    expect(groups.filter((group, at) => groups.indexOf(group) !== at)).toEqual([]);
  });
  it("loads every file of words by some part", () => {
    const loaded = new Set(Object.keys(sources).flatMap((file) => [...closure(file)]));
    expect(Object.keys(words).filter((file) => !loaded.has(file))).toEqual([]);
  });
  it.each(roots)("has the words of %s when it is shown", (root) => {
    const files = closure(root);
    const loaded = [FIRST, ...files, ...(inFrame(root) ? frame : [])].filter((file) => file in words);
    const here = new Set(loaded.flatMap(keysOf));
    const asked = [...files].flatMap((file) => {
      const source = sources[file] ?? "";
      return [...callsIn(source), ...literalsIn(source).filter((key) => known.has(key))];
    });
    expect([...new Set(asked)].filter((key) => !here.has(key))).toEqual([]);
    const begun = [...files].flatMap((file) => startsIn(sources[file] ?? ""));
    expect([...new Set(begun)].filter((start) => ![...here].some((key) => key.startsWith(start)))).toEqual(
      [],
    );
  });

  it("is joined by counts in the language of the page, not of the browser", () => {
    expect(text).not.toMatch(/\.toLocaleString\((\)|["'])/);
  });
});
