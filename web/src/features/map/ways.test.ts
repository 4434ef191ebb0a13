import { expect, it } from "vitest";
import { crosses, Ways } from "./ways";

const area = { left: 10, right: 30, bottom: 10, top: 20 };
const way = (fromX: number, fromY: number, toX: number, toY: number) => ({
  from: { x: fromX, y: fromY },
  to: { x: toX, y: toY },
});

it("a way crosses an area when any part of it is inside", () => {
  for (const [one, is] of [
    [way(0, 15, 40, 15), true],
    [way(20, 0, 20, 40), true],
    [way(12, 12, 13, 13), true],
    [way(0, 0, 40, 30), true],
    [way(20, 15, 900, 900), true],
    [way(0, 10, 40, 10), false],
    [way(10, 0, 10, 40), false],
    [way(0, 21, 40, 21), false],
    [way(0, 15, 9, 15), false],
    [way(0, 16, 24, 40), false],
  ] as const)
    expect(crosses(one, area), JSON.stringify(one)).toBe(is);
});

it("the index finds what looking at all ways finds", () => {
  let state = 7;
  const roll = (most: number) => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return Math.floor((state / 4_294_967_296) * most) - most / 2;
  };
  const all = Array.from({ length: 60 }, (_, at) => {
    const [x, y] = [roll(2_000), roll(2_000)];
    return at % 3 === 0
      ? way(x, y, roll(2_000), y)
      : at % 3 === 1
        ? way(x, y, x, y)
        : way(x, y, roll(2_000), roll(2_000));
  });
  const index = new Ways(all);
  let found = 0;
  for (let turn = 0; turn < 3_000; turn++) {
    const [left, bottom] = [roll(2_200), roll(2_200)];
    const here = { left, bottom, right: left + 90, top: bottom + 14 };
    const is = all.some((one) => crosses(one, here));
    if (is) found += 1;
    expect(index.cross(here), JSON.stringify(here)).toBe(is);
  }
  expect(found).toBeGreaterThan(100);
});
