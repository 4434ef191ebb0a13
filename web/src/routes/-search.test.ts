import { describe, expect, it } from "vitest";
import { NOTHING } from "#/domain/nothing";
import { id, oneOf, text } from "./-search";

const routes = import.meta.glob<{
  Route: { options: { validateSearch?: (search: Record<string, unknown>) => Record<string, unknown> } };
}>("./_auth/*.tsx", { eager: true });
const readers = Object.entries(routes).flatMap(([file, { Route }]) => {
  const read = Route.options.validateSearch;
  return read ? [[file, read] as const] : [];
});

const ids = ["selected", "finding", "from", "entity", "network"];
const words = ["sort", "state", "tab", "panel", "group", "scan"];
const keys = [...ids, ...words, "q", "view", "entry", "action", "targets", "linked"];
const all = (value: unknown) => Object.fromEntries(keys.map((key) => [key, value]));

describe("what a page reads from its address", () => {
  it("is read on every page", () => expect(readers.length).toBeGreaterThan(10));
  it.each(readers)(
    "%s: an id that cannot be one is that of nothing, and a word that nobody knows is dropped",
    (_, read) => {
      for (const wrong of ["zz", "..", 5, true]) {
        const search = read(all(wrong));
        for (const key of ids) expect([undefined, NOTHING]).toContain(search[key]);
        for (const key of words) expect(search[key]).toBeUndefined();
      }
    },
  );
  it.each(readers)("%s: what is no text at all is dropped", (_, read) => {
    for (const wrong of [null, {}, ["a"], ""])
      expect(Object.values(read(all(wrong))).filter((value) => value !== undefined)).toEqual([]);
  });
  it.each(readers)("%s: an id is kept as it is", (_, read) => {
    const good = "01a223ee-af71-7304-8f2f-a4e581a8b5d5";
    for (const [key, value] of Object.entries(read(all(good))))
      if (ids.includes(key)) expect(value).toBe(good);
  });
  it("takes numbers that somebody searches for", () => {
    expect(text(12)).toBe("12");
    expect(id(undefined)).toBeUndefined();
    expect(oneOf("b", ["a", "b"])).toBe("b");
  });
});
