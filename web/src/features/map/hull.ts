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
