import { describe, expect, it } from "vitest";
import { fieldName, forPeople, readDetail, valueText } from "./diff";

describe("the details of an entry", () => {
  it("reads one pair for each field, and the rest as facts", () => {
    expect(readDetail({ role: { from: null, to: "nas" }, name_now: "tank" })).toEqual({
      changes: [{ field: "role", before: null, after: "nas" }],
      facts: [{ field: "name_now", value: "tank" }],
    });
  });
  it("reads two whole states; what stayed is a fact", () => {
    expect(
      readDetail({ from: { name: "a", color: "#111" }, to: { name: "b", color: "#111" }, by: "x" }),
    ).toEqual({
      changes: [{ field: "name", before: "a", after: "b" }],
      facts: [
        { field: "color", value: "#111" },
        { field: "by", value: "x" },
      ],
    });
  });
  it("sees what came and what went", () => {
    const { changes } = readDetail({
      from: { vlan: 3, tags: ["a"] },
      to: { cidr: "10.0.0.0/8", tags: ["b"] },
    });
    expect(changes).toEqual([
      { field: "vlan", before: 3, after: undefined },
      { field: "tags", before: ["a"], after: ["b"] },
      { field: "cidr", before: undefined, after: "10.0.0.0/8" },
    ]);
  });
  it("takes a bare pair, and does not take half of one for it", () => {
    expect(readDetail({ from: 1, to: 2 }).changes).toEqual([{ field: "", before: 1, after: 2 }]);
    expect(readDetail({ from: "10.0.0.1" })).toEqual({
      changes: [],
      facts: [{ field: "from", value: "10.0.0.1" }],
    });
    expect(readDetail({ span: { from: 1, to: 2, step: 3 } }).changes).toEqual([]);
    expect(readDetail({})).toEqual({ changes: [], facts: [] });
  });
});

describe("names and values", () => {
  it("are readable", () => {
    expect(fieldName("instance_name")).toBe("Instance name");
    expect(valueText(["ssh", "ports"])).toBe("ssh, ports");
    expect(valueText([{ a: 1 }])).toBe('[{"a":1}]');
    expect(valueText(false)).toBe("false");
    expect(valueText(0)).toBe("0");
    for (const nothing of [null, undefined, "", []]) expect(valueText(nothing)).toBeUndefined();
  });
});

describe("what people read of an entry", () => {
  it("has no ids and no empty facts", () => {
    const from = "0198c0de-0000-7000-8000-000000000001";
    const reading = readDetail({ from, to: from.replace("1", "2"), resealed: 4, error: null, status: "" });
    expect(forPeople(reading)).toEqual({ changes: [], facts: [{ field: "resealed", value: 4 }] });
  });
});
