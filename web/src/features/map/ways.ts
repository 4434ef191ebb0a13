/** Where links run, and what they cross. Pure; all in map units. */
import { type Place, SPACING } from "./layout";

export interface Way {
  from: Place;
  to: Place;
}
export interface Area {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

const CELL = SPACING;
/** Small numbers are found sooner: farther out all share the outermost cells. */
const HALF = 1 << 14;
const cellOf = (at: number) => Math.max(1 - HALF, Math.min(HALF - 1, Math.floor(at / CELL)));
const keyOf = (column: number, row: number) => (column + HALF) * 2 * HALF + (row + HALF);

/** Knows the ways near an area without looking at all of them: each cell of a grid has those that pass through it. */
export class Ways {
  private readonly cells = new Map<number, Way[]>();

  constructor(ways: Iterable<Way>) {
    for (const way of ways) this.add(way);
  }

  private add(way: Way): void {
    const [low, high] = way.from.y < way.to.y ? [way.from, way.to] : [way.to, way.from];
    const along = (y: number) => low.x + ((high.x - low.x) * (y - low.y)) / (high.y - low.y);
    for (let row = cellOf(low.y); row <= cellOf(high.y); row++) {
      // The part of the way in this row of cells.
      const start = row === cellOf(low.y) ? low.x : along(row * CELL);
      const end = row === cellOf(high.y) ? high.x : along((row + 1) * CELL);
      for (let at = cellOf(Math.min(start, end)); at <= cellOf(Math.max(start, end)); at++) {
        const key = keyOf(at, row);
        const cell = this.cells.get(key);
        if (cell) cell.push(way);
        else this.cells.set(key, [way]);
      }
    }
  }

  cross(area: Area): boolean {
    for (let row = cellOf(area.bottom); row <= cellOf(area.top); row++)
      for (let at = cellOf(area.left); at <= cellOf(area.right); at++)
        if (this.cells.get(keyOf(at, row))?.some((way) => crosses(way, area))) return true;
    return false;
  }
}

/** Whether any part of a way is in an area: each side of the area cuts off the part beyond it, and something must be left. */
export function crosses({ from, to }: Way, { left, right, bottom, top }: Area): boolean {
  let [first, last] = [0, 1];
  const cut = (start: number, step: number, low: number, high: number): boolean => {
    if (step === 0) return start > low && start < high;
    const [enter, leave] = [(low - start) / step, (high - start) / step];
    first = Math.max(first, Math.min(enter, leave));
    last = Math.min(last, Math.max(enter, leave));
    return first < last;
  };
  return cut(from.x, to.x - from.x, left, right) && cut(from.y, to.y - from.y, bottom, top);
}
