/**
 * Stage 3: where things stand. Pure and deterministic; many are placed in a worker. Invariants: what is fixed (pinned by a person,
 * or placed before in this session) is never moved; the same input gives the same places. Ids are time-ordered, so a
 * new asset takes the next free seat of its group and the seats of the others stay theirs.
 */
interface LayoutNode {
  id: string;
  hub: boolean;
}
interface LayoutGroup {
  id: string;
  members: LayoutNode[];
}
export interface Place {
  x: number;
  y: number;
}
export interface LayoutInput {
  groups: LayoutGroup[];
  fixed: Record<string, Place>;
}
export type LayoutOutput = Record<string, Place>;

/** Distance between neighbors in a group, in map units. A node's radius is 14. */
export const SPACING = 84;
const GROUP_GAP = 50;
/** Hub, then rings of 6, 12, 18 ... on a hexagonal grid. */
const HUB_SEATS = 7;

const hubRoles = new Set(["router", "gateway", "firewall", "switch", "access_point"]);
export function isHub(role: string | null | undefined): boolean {
  return !!role && hubRoles.has(role);
}

/** Seat number → place on a hexagonal spiral around the origin. */
export function seat(index: number): Place {
  if (index === 0) return { x: 0, y: 0 };
  let ring = 1;
  let before = 1;
  while (index >= before + 6 * ring) {
    before += 6 * ring;
    ring += 1;
  }
  const at = index - before;
  const side = Math.floor(at / ring);
  const step = at % ring;
  const from = (Math.PI / 3) * side;
  const to = (Math.PI / 3) * (side + 1);
  const t = step / ring;
  const radius = ring * SPACING;
  // Straight sides of the hexagon, rounded half way to a circle so that a group reads as one round thing.
  const x = radius * (Math.cos(from) * (1 - t) + Math.cos(to) * t);
  const y = radius * (Math.sin(from) * (1 - t) + Math.sin(to) * t);
  const round = radius / Math.hypot(x, y);
  const blend = (1 + round) / 2;
  return { x: x * blend, y: y * blend };
}

/** Rings needed for so many members; grows in steps of two, so that groups around it rarely have to make room. */
function ringsFor(members: number): number {
  let ring = 0;
  let seats = 1;
  while (seats < members) {
    ring += 1;
    seats += 6 * ring;
  }
  return ring + (ring % 2);
}

export function groupRadius(members: number): number {
  return ringsFor(members) * SPACING + SPACING * 0.8;
}

/** Groups along a spiral, each at the first place where it touches none of those before it. */
export function groupCenters(radii: readonly number[]): Place[] {
  const placed: (Place & { radius: number })[] = [];
  for (const radius of radii) {
    let found: Place = { x: 0, y: 0 };
    for (let step = 0; step < 200_000; step++) {
      const angle = Math.sqrt(step) * 1.1;
      const distance = angle * 55;
      // Wider than high, as screens are.
      const spot = { x: Math.cos(angle) * distance * 1.25, y: Math.sin(angle) * distance };
      if (
        placed.every(
          (other) => Math.hypot(other.x - spot.x, other.y - spot.y) >= other.radius + radius + GROUP_GAP,
        )
      ) {
        found = spot;
        break;
      }
    }
    placed.push({ ...found, radius });
  }
  return placed.map(({ x, y }) => ({ x, y }));
}

/** Tells quickly whether a place is taken: a grid of cells one spacing wide. */
class Occupied {
  private cells = new Map<number, Place[]>();
  private key(x: number, y: number): number {
    return Math.floor(x / SPACING) * 1_000_003 + Math.floor(y / SPACING);
  }
  add(place: Place): void {
    const key = this.key(place.x, place.y);
    const cell = this.cells.get(key);
    if (cell) cell.push(place);
    else this.cells.set(key, [place]);
  }
  near(place: Place, distance: number): boolean {
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        const cell = this.cells.get(this.key(place.x + dx * SPACING, place.y + dy * SPACING));
        if (cell?.some((other) => Math.hypot(other.x - place.x, other.y - place.y) < distance)) return true;
      }
    }
    return false;
  }
}

export function layout({ groups, fixed }: LayoutInput): LayoutOutput {
  const centers = groupCenters(groups.map((group) => groupRadius(group.members.length)));
  const occupied = new Occupied();
  for (const place of Object.values(fixed)) occupied.add(place);
  const out: LayoutOutput = {};
  for (const [at, group] of groups.entries()) {
    const center = centers[at] ?? { x: 0, y: 0 };
    // A small group has no room to keep the middle free for hubs that may come.
    const reserve = group.members.length > HUB_SEATS;
    let nextHub = 0;
    let next = reserve ? HUB_SEATS : 0;
    const ordered = reserve
      ? group.members
      : [...group.members].sort((a, b) => Number(b.hub) - Number(a.hub));
    const free = (index: number): Place | null => {
      const spot = seat(index);
      const place = { x: center.x + spot.x, y: center.y + spot.y };
      return occupied.near(place, SPACING * 0.6) ? null : place;
    };
    for (const member of ordered) {
      const asHub = reserve && member.hub && nextHub < HUB_SEATS;
      if (fixed[member.id]) {
        // It stands elsewhere, yet uses up its seat number, so that those after it keep theirs.
        if (asHub) nextHub += 1;
        else next += 1;
        continue;
      }
      let place: Place | null = null;
      while (asHub && !place && nextHub < HUB_SEATS) place = free(nextHub++);
      for (let tries = 0; !place && tries < 50_000; tries++) place = free(next++);
      if (!place) continue;
      out[member.id] = place;
      occupied.add(place);
    }
  }
  return out;
}
