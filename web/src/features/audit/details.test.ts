import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { AuditEntry } from "#/api/schema";
import { addWords, say as t } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { details as withWords } from "./details";
import { fieldWords, valueWords, wordKey } from "./words";

addWords(words);
const openapi = JSON.parse(readFileSync("../docs/openapi.json", "utf8"));
const details = (entries: readonly AuditEntry[]) => withWords(entries, t);

const entry = (detail: object, entity_name: string | null = null) =>
  ({ detail, entity_name }) as unknown as AuditEntry;

describe("what a line says beside its sentence", () => {
  it("is what became what, with the names of fields where there are several", () => {
    expect(details([entry({ instance_name: { from: "Attic", to: "Cellar" } })])).toBe("Attic → Cellar");
    const two = { from: { vendor: null, model: "A" }, to: { vendor: "Acme", model: "B" } };
    expect(details([entry(two)])).toBe("vendor: – → Acme · model: A → B");
  });
  it("is which things", () => {
    expect(details([entry({}, "BMC"), entry({}, "NAS"), entry({}, "BMC")])).toBe("BMC, NAS");
    expect(details([entry({}, "maria"), entry({}, "maria")])).toBe("");
    const findings = [
      { finding_id: "01a2232e-1215-7b7e-9ae0-7e34ab5648bb", title: "pve1" },
      { finding_id: "01a2232e-1215-7730-b9f9-9da656f70450", title: "tv" },
    ];
    expect(details([entry({ count: 2, findings, skipped: 0 })])).toBe("pve1, tv");
    const many = Array.from({ length: 40 }, (_, at) => entry({}, `n${at}`));
    expect(details(many)).toMatch(/^n0, n1, .*n11, …$/);
  });
  it("is the facts that people read, and not the name again", () => {
    const made = { name: "Mail", kind: "email", enabled: true, certificate_sha256: null, events: [] };
    expect(details([entry({ ...made, credential_id: "x", public: { host: "a" } }, "Mail")])).toBe(
      "kind: Email",
    );
    expect(details([entry({ to: "01a2232e-047f-7bea-a120-b13ff2c6f9b8", damaged: 0 })])).toBe("");
    expect(details([entry({ between: ["a", "b"] })])).toBe("between: a, b");
    expect(details([entry({ targets: ["10.0.0.0/24"] }, "10.0.0.0/24")])).toBe("");
    expect(details([entry({ count: 1, origin: "smtp://a.lan" })])).toBe("");
    expect(details([entry({ placed: 2, names: ["tv", "nas"] })])).toBe("tv, nas");
    expect(details([])).toBe("");
  });
});

describe("the words of the machine", () => {
  /** Every list of words that the API has, but the actions, which have sentences, and those that no entry holds. */
  const lists = Object.entries<{ enum?: string[] }>(openapi.components.schemas).filter(
    ([name, schema]) =>
      schema.enum &&
      !/AuditAction|StorageState|LinkPurpose|PeriodicWork|^(DatabaseKind|DegradedCode|FabricMode|JobState|ServerRole)$/.test(
        name,
      ),
  );
  it("are never shown as they are", () => {
    expect(lists.length).toBeGreaterThan(15);
    const raw = lists.flatMap(([name, { enum: all = [] }]) =>
      all.filter((word) => !(wordKey(word) in words.audit.word)).map((word) => `${name} ${word}`),
    );
    expect(raw).toEqual([]);
    const scopes = openapi.components.schemas.TokenIn.properties.scopes.items;
    expect(scopes.enum.length).toBeGreaterThan(10);
    expect(scopes.enum.filter((word: string) => !(wordKey(word) in words.audit.word))).toEqual([]);
  });
  it("are told in the fields that hold them, and nowhere else", () => {
    expect(valueWords("role", "admin", t)).toBe("Administrator");
    expect(valueWords("role", "access-point", t)).toBe("Access point");
    expect(valueWords("kind", "new_asset", t)).toBe("New asset");
    expect(valueWords("events", ["scan.finished", "asset.created"], t)).toBe(
      "A scan ended, An asset was added",
    );
    expect(valueWords("enabled", false, t)).toBe("No");
    expect(valueWords("name", "admin", t)).toBe("admin");
    expect(fieldWords("outbound_allow", t)).toBe("Outbound connections allowed to");
    expect(details([entry({ role: "admin", invited: "x" }, "ada")])).toBe("role: Administrator · invited: x");
    expect(details([entry({ role: { from: "viewer", to: "admin" } })])).toBe("Viewer → Administrator");
  });
});
