import { beforeEach, expect, it } from "vitest";
import { forgetRecents, recents, remember } from "./recent";

beforeEach(() => localStorage.clear());
const ids = (user: string) => recents(user).map(({ id }) => id);

it("keeps what was chosen last first, each once, and no more than nine", () => {
  for (const id of "abcdefghij".split("")) remember("u", { id });
  remember("u", { id: "e" });
  expect(ids("u").join("")).toBe("ejihgfdcb");
});

it("shows nobody else's, and nothing after it was forgotten", () => {
  remember("u", { id: "a" });
  expect(ids("v")).toEqual([]);
  remember("v", { id: "b" });
  expect(ids("u")).toEqual([]);
  forgetRecents();
  expect(ids("v")).toEqual([]);
});

it("survives what is no list", () => {
  for (const kept of ["{nonsense", "null", '{"of":"u","items":[1,null,{"id":2},{"id":"a"}]}']) {
    localStorage.setItem("cb.recent", kept);
    expect(ids("u").every((id) => id === "a")).toBe(true);
  }
});
