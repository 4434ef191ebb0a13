import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { addWords, say as t } from "#/i18n";
import words from "#/i18n/en/discovery.json";
import { factText, seenText, sourceText } from "./evidence";

addWords(words);

// The collector's own words, from its code without its tests.
const ROOT = "../crates/cb-collect/src";
const code = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".rs"))
  .map((file) => readFileSync(`${ROOT}/${file}`, "utf8").split("#[cfg(test)]")[0] ?? "")
  .join("\n");
const all = (pattern: RegExp) => [...new Set([...code.matchAll(pattern)].map((found) => found[1] ?? ""))];

const sources = [...all(/\bAnswer::new\("([a-z]+)"/g), ...all(/(?:\.sign|\bnote)\(\s*"([a-z ]+)"/g)];
const notShown = ["body", "headers", "protocol", "cookie", "status"];
const identities = /IdentityKind \{([^}]*)\}/.exec(code)?.[1] ?? "";
const facts = [
  ...all(/\.(?:field|maybe)\(\s*"([a-z_ ]+)"/g),
  ...all(/(?:\.sign|\bnote)\(\s*"[a-z ]+",\s*[^,]+,\s*"([a-z]+)"/g),
  ...[...identities.matchAll(/= "([a-z_]+)"/g)].map((found) => found[1] ?? ""),
  ...[...(/SYSTEM[^=]*= &?\[([^;]*)\];/.exec(code)?.[1] ?? "").matchAll(/"([a-z]+)"/g)].map(
    (found) => found[1] ?? "",
  ),
].filter((fact) => !notShown.includes(fact));

it("has words for every source and every fact of the collector", () => {
  expect(sources.length).toBeGreaterThan(20);
  expect(facts.length).toBeGreaterThan(40);
  const spelled = (group: Record<string, string>, word: string) => group[word.replaceAll(" ", "_")];
  expect(sources.filter((word) => !spelled(words.sign.sources, word))).toEqual([]);
  expect(facts.filter((word) => !spelled(words.sign.facts, word))).toEqual([]);
});

it("writes a word that it does not know as a word", () => {
  expect(sourceText("quantum_probe", t)).toBe("Quantum probe");
  expect(sourceText("neighbor table", t)).toBe("Neighbor table");
  expect(factText("upnp_uuid", t)).toBe("UPnP ID");
  const seen = (value: string) => seenText({ value } as never, t);
  expect(seen("yes")).toBe("Yes");
  expect(seen("OpenSSH_9.7")).toBe("OpenSSH_9.7");
});
