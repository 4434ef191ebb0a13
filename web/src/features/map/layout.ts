/**
 * Stage 3: where things stand. Pure and deterministic. Every node has a seat on one hexagonal grid under the whole map.
 * Invariants: a seat that is known is never given up while its node is there, whatever comes or goes; a node without a
 * seat takes the free one that is nearest to the middle of its group; a group without a middle gets one that touches no other group.
 */
interface LayoutNode {
  id: string;
  hub: boolean;
}
export interface LayoutGroup {
  id: string;
  members: readonly LayoutNode[];
}
export interface Place {
  x: number;
  y: number;
}
/** A point of the grid. */
export interface Point {
  q: number;
  r: number;
}
export interface Seat extends Point {
  group: string;
}
export interface Seating {
  /** Middles of groups, by their id. */
  middles: ReadonlyMap<string, Point>;
  /** By the node's id. Nodes that have left are kept until somebody needs their seat: they may come back. */
  seats: ReadonlyMap<string, Seat>;
}
export const EMPTY_SEATING: Seating = { middles: new Map(), seats: new Map() };

/** Distance between neighbors, in map units. A node's radius is 14. */
export const SPACING = 84;
/** Between the rows of the grid. */
export const ROW = (SPACING * Math.sqrt(3)) / 2;
/** Room between groups for their titles. */
const GROUP_GAP = 60;
/** Nodes that have left are remembered up to this number. */
const LEFT_MOST = 2_000;
/** Two groups stand at least so many points apart. */
const APART = 2;

export function placeOf({ q, r }: Point): Place {
  return { x: SPACING * (q + r / 2), y: -ROW * r };
}

function nearestPoint({ x, y }: Place): Point {
  const r = Math.round(-y / ROW);
  // Plus zero: there is no second zero in a memory.
  return { q: Math.round(x / SPACING - r / 2) + 0, r: r + 0 };
}

const HALF = 1 << 20;
/** One number for a point, for maps and sets. */
function pointKey({ q, r }: Point): number {
  return (q + HALF) * 2 * HALF + (r + HALF);
}

let rings = 0;
let spiral: Point[] = [];
/** The points around the origin, the nearest first, at least `count` of them. */
function pointsAround(count: number): readonly Point[] {
  if (spiral.length >= count) return spiral;
  // A hexagon of so many rings holds a full circle of nearly as many: the corners are cut off.
  rings = Math.max(rings * 2, Math.ceil(Math.sqrt(count * 0.45)) + 2, 8);
  const reach = (rings * ROW) ** 2 + 1;
  const found: (Point & { far: number; turn: number })[] = [];
  for (let q = -rings; q <= rings; q++)
    for (let r = Math.max(-rings, -q - rings); r <= Math.min(rings, -q + rings); r++) {
      const { x, y } = placeOf({ q, r });
      const far = Math.round(x * x + y * y);
      if (far <= reach) found.push({ q, r, far, turn: Math.atan2(y, x) });
    }
  spiral = found.sort((a, b) => a.far - b.far || a.turn - b.turn).map(({ q, r }) => ({ q, r }));
  return spiral.length >= count ? spiral : pointsAround(count);
}

/** How far a group of so many members reaches, with room for some more. */
export function groupRadius(members: number): number {
  const needed = Math.sqrt((members + 1) / 3);
  return (Math.ceil(needed) + 0.8) * SPACING;
}

interface Circle extends Place {
  radius: number;
}
const CELL = 500;

/** Circles along a spiral, each at the first spot where it touches none of those before it. */
export class Ground {
  private readonly cells = new Map<number, Circle[]>();
  /** A spot that was too narrow for a circle will be too narrow for every circle that is not smaller. */
  private readonly tried: { radius: number; step: number }[] = [];

  add(circle: Circle): void {
    this.each(circle, (key) => {
      const cell = this.cells.get(key);
      if (cell) cell.push(circle);
      else this.cells.set(key, [circle]);
      return false;
    });
  }

  find(radius: number): Place {
    let step = 0;
    for (const one of this.tried) if (one.radius <= radius) step = Math.max(step, one.step);
    for (; ; step++) {
      const angle = Math.sqrt(step) * 1.1;
      const distance = angle * 55;
      // Wider than high, as screens are.
      const spot = { x: Math.cos(angle) * distance * 1.25, y: Math.sin(angle) * distance, radius };
      if (this.meets(spot)) continue;
      const same = this.tried.find((one) => one.radius === radius);
      if (same) same.step = step;
      else this.tried.push({ radius, step });
      return { x: spot.x, y: spot.y };
    }
  }

  private meets(spot: Circle): boolean {
    return this.each(spot, (key) =>
      (this.cells.get(key) ?? []).some(
        (other) => Math.hypot(other.x - spot.x, other.y - spot.y) < other.radius + spot.radius + GROUP_GAP,
      ),
    );
  }

  private each({ x, y, radius }: Circle, work: (key: number) => boolean): boolean {
    const reach = radius + GROUP_GAP;
    for (let column = Math.floor((x - reach) / CELL); column <= Math.floor((x + reach) / CELL); column++)
      for (let line = Math.floor((y - reach) / CELL); line <= Math.floor((y + reach) / CELL); line++)
        if (work(pointKey({ q: column, r: line }))) return true;
    return false;
  }
}

/** Seats for all of `groups`; the same object when nothing has changed. `pinned`: places that people chose, which newcomers keep clear of. */
export function settle(
  groups: readonly LayoutGroup[],
  known: Seating,
  pinned: Iterable<Place> = [],
): Seating {
  const seats = new Map<string, Seat>();
  const taken = new Map<number, string>();
  const newcomers = new Map<string, LayoutNode[]>();
  for (const group of groups) {
    const fresh: LayoutNode[] = [];
    for (const member of group.members) {
      const seat = known.seats.get(member.id);
      if (seat?.group === group.id && known.middles.has(group.id) && !taken.has(pointKey(seat))) {
        seats.set(member.id, seat);
        taken.set(pointKey(seat), group.id);
      } else fresh.push(member);
    }
    if (fresh.length > 0) newcomers.set(group.id, fresh);
  }
  if (newcomers.size === 0 && seats.size === known.seats.size) return known;
  const middles = middlesOf(groups, known, seats);
  const blocked = pointsUnder(pinned);
  for (const [group, members] of newcomers) {
    const middle = middles.get(group);
    if (!middle) continue;
    // The point in the middle is a hub's, from the first day on.
    const next = { hub: 0, other: 1 };
    const ordered = [...members].sort((a, b) => Number(b.hub) - Number(a.hub));
    for (const { id, hub } of ordered) {
      const who = hub ? "hub" : "other";
      for (; ; next[who]++) {
        const by = pointsAround(next[who] + 1)[next[who]] as Point;
        const point = { q: middle.q + by.q, r: middle.r + by.r };
        const key = pointKey(point);
        if (taken.has(key) || blocked.has(key) || strangersNear(point, group, taken)) continue;
        seats.set(id, { ...point, group });
        taken.set(key, group);
        break;
      }
    }
  }
  const left = [...known.seats].filter(([id, seat]) => !seats.has(id) && !taken.has(pointKey(seat)));
  for (const [id, seat] of left.slice(-LEFT_MOST)) seats.set(id, seat);
  return { middles, seats };
}

function middlesOf(
  groups: readonly LayoutGroup[],
  known: Seating,
  seats: ReadonlyMap<string, Seat>,
): Map<string, Point> {
  const middles = new Map<string, Point>();
  const reach = new Map<string, number>();
  for (const { q, r, group } of seats.values()) {
    const middle = known.middles.get(group);
    if (!middle) continue;
    const { x, y } = placeOf({ q: q - middle.q, r: r - middle.r });
    reach.set(group, Math.max(reach.get(group) ?? 0, Math.hypot(x, y) + 0.8 * SPACING));
  }
  const ground = new Ground();
  const sizes = new Map(groups.map((group) => [group.id, group.members.length]));
  for (const [id, middle] of known.middles) {
    middles.set(id, middle);
    const radius = Math.max(groupRadius(sizes.get(id) ?? 1), reach.get(id) ?? 0);
    ground.add({ ...placeOf(middle), radius });
  }
  for (const group of groups) {
    if (middles.has(group.id)) continue;
    const radius = groupRadius(group.members.length);
    const middle = nearestPoint(ground.find(radius));
    middles.set(group.id, middle);
    ground.add({ ...placeOf(middle), radius });
  }
  return middles;
}

/** The points that a node at one of these places would cover. */
function pointsUnder(places: Iterable<Place>): Set<number> {
  const blocked = new Set<number>();
  for (const place of places) {
    const { q, r } = nearestPoint(place);
    for (let dq = -1; dq <= 1; dq++)
      for (let dr = -1; dr <= 1; dr++) {
        const point = { q: q + dq, r: r + dr };
        const { x, y } = placeOf(point);
        if (Math.hypot(x - place.x, y - place.y) < SPACING * 0.6) blocked.add(pointKey(point));
      }
  }
  return blocked;
}

function strangersNear({ q, r }: Point, group: string, taken: ReadonlyMap<number, string>): boolean {
  for (let dq = -APART; dq <= APART; dq++)
    for (let dr = Math.max(-APART, -dq - APART); dr <= Math.min(APART, -dq + APART); dr++) {
      const who = taken.get(pointKey({ q: q + dq, r: r + dr }));
      if (who !== undefined && who !== group) return true;
    }
  return false;
}
