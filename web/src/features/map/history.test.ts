import { describe, expect, it } from "vitest";
import { History } from "./history";

const always = () => true;

describe("history", () => {
  it("goes back and forth, and a new deed ends what could be done again", () => {
    const history = new History<string>();
    for (const deed of ["a", "b", "c"]) history.add(deed);
    expect([history.undo(always), history.undo(always)]).toEqual(["c", "b"]);
    expect(history.redo(always)).toBe("b");
    history.add("d");
    expect(history.redo(always)).toBeUndefined();
    expect([history.undo(always), history.undo(always), history.undo(always), history.undo(always)]).toEqual([
      "d",
      "b",
      "a",
      undefined,
    ]);
  });

  it("passes over what can no longer be undone, and remembers no more than it must", () => {
    const history = new History<number>();
    for (let deed = 0; deed < 150; deed++) history.add(deed);
    expect(history.undo((deed) => deed < 140)).toBe(139);
    let count = 1;
    while (history.undo(always) !== undefined) count += 1;
    expect(count).toBe(90);
  });
});
