import { describe, expect, it } from "vitest";
import { parseFilter } from "./filter";

describe("the search language", () => {
  it("takes fields out and leaves words", () => {
    expect(parseFilter("kind:device nas tag:prod status:up 10.0.0.5").filter).toEqual({
      kind: "device",
      tag: "prod",
      status: "up",
      q: "nas 10.0.0.5",
    });
  });
  it("keeps spaces between quotes, also while the closing one is missing", () => {
    expect(parseFilter('tag:"living room" tv').filter).toEqual({ tag: "living room", q: "tv" });
    expect(parseFilter('tag:"living ro').filter).toEqual({ tag: "living ro" });
  });
  it("does not search for a field that is still being typed", () => {
    expect(parseFilter("kind:")).toEqual({ filter: {}, problems: [] });
  });
  it("says what it does not know instead of finding nothing", () => {
    const { filter, problems } = parseFilter("kind:devise");
    expect(filter).toEqual({});
    expect(problems[0]).toMatchObject({ field: "kind", word: "devise" });
  });
  it("leaves other colons alone: a MAC or IPv6 address is a word", () => {
    expect(parseFilter("fe80::1 3c:22:fb:00:00:01").filter).toEqual({ q: "fe80::1 3c:22:fb:00:00:01" });
  });
});
