import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { roleName } from "./asset";
import { drawingOf, isHub, knownRoles } from "./icons";

// What discovery proposes, from its own list.
const guess = readFileSync("../crates/cb-collect/src/engine/guess.rs", "utf8");
const list = /const ROLES: &\[\(&str, AssetKind\)\] = &\[([^;]*)\];/.exec(guess)?.[1] ?? "";
const proposed = [...list.matchAll(/\("([a-z-]+)", AssetKind::(\w+)\)/g)].map(([, role = "", kind = ""]) => ({
  role,
  kind: kind.toLowerCase() as "device" | "compute" | "storage",
}));

describe("roles", () => {
  it("every role that discovery proposes has an icon of its own and is offered in forms", () => {
    expect(proposed.length).toBeGreaterThan(10);
    const plain = drawingOf("other", "a role that nobody knows");
    for (const { role } of proposed) {
      expect(drawingOf("other", role), role).not.toBe(plain);
      expect(knownRoles).toContain(role);
    }
  });

  it("however a person writes a role, it is the same", () => {
    for (const written of ["access-point", "access_point", "Access point", " ACCESS  POINT "]) {
      expect(drawingOf("device", written)).toBe(drawingOf("device", "access-point"));
      expect(isHub(written)).toBe(true);
    }
    expect(roleName("access-point")).toBe("Access point");
    expect(roleName("plc")).toBe("PLC");
  });
});
