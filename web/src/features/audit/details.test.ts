import { describe, expect, it } from "vitest";
import type { AuditEntry } from "#/api/schema";
import { details } from "./details";

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
      "kind: email",
    );
    expect(details([entry({ to: "01a2232e-047f-7bea-a120-b13ff2c6f9b8", damaged: 0 })])).toBe("");
    expect(details([entry({ between: ["a", "b"] })])).toBe("between: a, b");
    expect(details([entry({ targets: ["10.0.0.0/24"] }, "10.0.0.0/24")])).toBe("");
    expect(details([])).toBe("");
  });
});
