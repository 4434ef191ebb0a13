/**
 * Remembers seats in this browser, so that a reload moves nothing. What cannot be read is forgotten: the layout then
 * seats everything anew, in an order that is the same everywhere.
 */
import { EMPTY_SEATING, type Point, type Seat, type Seating } from "./layout";

const KEY = "cb.map.seats";
/** More than a map can show. */
const NODES_MOST = 40_000;

interface Kept {
  version: 1;
  groups: Record<string, { at: [number, number]; seats: Record<string, [number, number]> }>;
}

export function encode({ middles, seats }: Seating, here: (id: string) => boolean): string {
  const kept: Kept = { version: 1, groups: {} };
  for (const [id, { q, r }] of middles) kept.groups[id] = { at: [q, r], seats: {} };
  for (const [id, { q, r, group }] of seats) {
    const among = kept.groups[group];
    if (among && here(id)) among.seats[id] = [q, r];
  }
  for (const [id, { seats: among }] of Object.entries(kept.groups))
    if (Object.keys(among).length === 0) delete kept.groups[id];
  return JSON.stringify(kept);
}

function pointOf(value: unknown): Point | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [q, r] = value;
  const sane = (one: unknown): one is number => Number.isInteger(one) && Math.abs(one as number) < 100_000;
  return sane(q) && sane(r) ? { q, r } : null;
}

export function decode(text: string | null): Seating {
  if (!text) return EMPTY_SEATING;
  try {
    const kept = JSON.parse(text) as Kept;
    if (kept.version !== 1) return EMPTY_SEATING;
    const middles = new Map<string, Point>();
    const seats = new Map<string, Seat>();
    for (const [group, { at, seats: among }] of Object.entries(kept.groups)) {
      const middle = pointOf(at);
      if (!middle) return EMPTY_SEATING;
      middles.set(group, middle);
      for (const [id, value] of Object.entries(among)) {
        const point = pointOf(value);
        if (!point || seats.size >= NODES_MOST) return EMPTY_SEATING;
        seats.set(id, { ...point, group });
      }
    }
    return { middles, seats };
  } catch {
    return EMPTY_SEATING;
  }
}

export function recall(): Seating {
  try {
    return decode(localStorage.getItem(KEY));
  } catch {
    return EMPTY_SEATING;
  }
}

export function remember(seating: Seating, here: (id: string) => boolean): void {
  try {
    localStorage.setItem(KEY, encode(seating, here));
  } catch {
    // A private window or a full store: the map works without.
  }
}
