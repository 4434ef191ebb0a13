/** The outline of a group. Pure: convex hull by Andrew's monotone chain. */
import type { Place } from "./layout";

export function hull(points: readonly Place[]): Place[] {
  if (points.length < 3) return [...points];
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const half = (input: readonly Place[]): Place[] => {
    const chain: Place[] = [];
    for (const point of input) {
      for (;;) {
        const a = chain[chain.length - 2];
        const b = chain[chain.length - 1];
        if (!a || !b || (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) > 0) break;
        chain.pop();
      }
      chain.push(point);
    }
    chain.pop();
    return chain;
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

/** A point of an outline, and which way is out. */
export type Rim = { x: number; y: number; nx: number; ny: number }[];
const ARC_STEP = Math.PI / 16;

/** The hull made wider by `pad` all around, its corners round. Counter-clockwise. */
export function rimOf(corners: readonly Place[], pad: number): Rim {
  const rim: Rim = [];
  const arc = (center: Place, from: number, turn: number) => {
    const steps = Math.max(1, Math.ceil(turn / ARC_STEP));
    for (let step = 0; step <= steps; step++) {
      const angle = from + (turn * step) / steps;
      const [nx, ny] = [Math.cos(angle), Math.sin(angle)];
      rim.push({ x: center.x + nx * pad, y: center.y + ny * pad, nx, ny });
    }
  };
  const distinct = corners.filter((corner, at) => {
    const before = corners[(at + corners.length - 1) % corners.length];
    return corners.length === 1 || !before || corner.x !== before.x || corner.y !== before.y;
  });
  const only = distinct[0] ?? corners[0];
  if (distinct.length < 2) {
    if (only) arc(only, 0, 2 * Math.PI);
    return rim;
  }
  for (const [at, corner] of distinct.entries()) {
    const before = distinct[(at + distinct.length - 1) % distinct.length] ?? corner;
    const after = distinct[(at + 1) % distinct.length] ?? corner;
    // Out is to the right of the way around.
    const from = Math.atan2(corner.y - before.y, corner.x - before.x) - Math.PI / 2;
    const to = Math.atan2(after.y - corner.y, after.x - corner.x) - Math.PI / 2;
    const full = 2 * Math.PI;
    arc(corner, from, (((to - from) % full) + full) % full);
  }
  return rim;
}
