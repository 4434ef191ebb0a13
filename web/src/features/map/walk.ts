/** Arrow keys on the graph. Pure: the nearest node in that direction, a linked one before a stranger. */
import type { Place } from "./layout";

export type Direction = "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight";
const vectors: Record<Direction, Place> = {
  ArrowUp: { x: 0, y: 1 },
  ArrowDown: { x: 0, y: -1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
};

/** Within 60° of the direction; y points up, as in the renderer. */
export function stepTo(
  from: string,
  direction: Direction,
  places: ReadonlyMap<string, Place>,
  linked: ReadonlySet<string>,
): string | null {
  const here = places.get(from);
  if (!here) return null;
  const along = vectors[direction];
  let best: string | null = null;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const [id, place] of places) {
    if (id === from) continue;
    const dx = place.x - here.x;
    const dy = place.y - here.y;
    const distance = Math.hypot(dx, dy);
    const forward = dx * along.x + dy * along.y;
    if (distance === 0 || forward < distance * 0.5) continue;
    // Straying sideways costs; a link shortens the way.
    const cost = (2 * distance - forward) * (linked.has(id) ? 0.5 : 1);
    if (cost < bestCost) {
      bestCost = cost;
      best = id;
    }
  }
  return best;
}
