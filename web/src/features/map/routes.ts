/**
 * How links run. Pure. Links of one group to the same hub share lanes: up from the node into the lane above its row, along that to the
 * gap between two nodes of the next row, through that gap, and so on to the lane above the hub. Names are under their nodes, and no
 * wider than from gap to gap, so lanes do not cross them. Any other link is a straight line.
 */
import type { LinkEvidence, MapLink } from "#/api/schema";
import { type Place, ROW, SPACING } from "./layout";

/** A node, as far as its links are concerned. */
export interface Spot extends Place {
  group: string;
  hub: boolean;
  /** It stands on its seat; what a person moved is free of lanes. */
  seated: boolean;
}

/** From one node to another, over the corners of its way. */
export interface Wire {
  a: string;
  b: string;
  evidence: LinkEvidence;
  path: readonly Place[];
}
export interface Strand {
  from: Place;
  to: Place;
  evidence: LinkEvidence;
  /** The nodes that it leads to; when a search hides one of these, the strand goes with it. Null: a shared lane. */
  ends: readonly [string, string] | null;
}

/** From the middle of a node up to the lane above its row. */
const RISE = SPACING * 0.25;
/** Fewer links are no bundle. */
const BUNDLE = 3;

interface Bundle {
  hub: Spot;
  links: { link: MapLink; member: Spot }[];
}

export function routeLinks(
  links: readonly MapLink[],
  spotOf: (id: string) => Spot | undefined,
): { wires: Wire[]; strands: Strand[] } {
  const degrees = new Map<string, number>();
  for (const { a, b } of links) for (const id of [a, b]) degrees.set(id, (degrees.get(id) ?? 0) + 1);
  const wires: Wire[] = [];
  const strands: Strand[] = [];
  const bundles = new Map<string, Bundle>();
  const straight = (link: MapLink, a: Spot, b: Spot) => {
    wires.push({ a: link.a, b: link.b, evidence: link.evidence, path: [a, b] });
    strands.push({ from: a, to: b, evidence: link.evidence, ends: [link.a, link.b] });
  };
  for (const link of links) {
    const [a, b] = [spotOf(link.a), spotOf(link.b)];
    if (!a || !b) continue;
    const weight = (id: string, spot: Spot) => (spot.hub ? 1e6 : 0) + (degrees.get(id) ?? 0);
    const [hubId, hub, member] = weight(link.a, a) >= weight(link.b, b) ? [link.a, a, b] : [link.b, b, a];
    if (!member.seated) {
      straight(link, a, b);
      continue;
    }
    const key = `${hubId} ${member.group} ${link.evidence}`;
    const bundle = bundles.get(key);
    if (bundle) bundle.links.push({ link, member });
    else bundles.set(key, { hub, links: [{ link, member }] });
  }
  for (const { hub, links: bundled } of bundles.values()) {
    if (bundled.length < BUNDLE) {
      for (const { link } of bundled) straight(link, spotOf(link.a) as Spot, spotOf(link.b) as Spot);
      continue;
    }
    bundle(hub, bundled, wires, strands);
  }
  return { wires, strands };
}

function bundle(hub: Spot, links: Bundle["links"], wires: Wire[], strands: Strand[]): void {
  const inside = hub.seated && links.every(({ member }) => member.group === hub.group);
  const evidence = links[0]?.link.evidence ?? "drawn";
  const seat = inside ? hub : (links[0]?.member ?? hub);
  const rowOf = ({ y }: Place) => Math.round((y - seat.y) / ROW);
  const laneOf = (row: number) => Math.round((seat.y + row * ROW + RISE) * 1_000) / 1_000;
  const rows = links.map(({ member }) => rowOf(member));
  const [low, high] = [Math.min(...rows), Math.max(...rows)];
  const xs = links.map(({ member }) => member.x);
  const middle = inside ? hub.x : (Math.min(...xs) + Math.max(...xs)) / 2;
  /** Halfway between two seats of a row, where their names end; every second row is half a seat further. */
  const gapOf = (row: number) => {
    const first = seat.x + (row & 1 ? 0 : SPACING / 2);
    return first + Math.round((middle - first) / SPACING) * SPACING;
  };
  // All come together in one lane: above the hub, or at the side of the group that looks to the hub.
  const above = hub.y > (laneOf(low) + laneOf(high)) / 2;
  const goal = inside ? 0 : above ? high : low;
  const last = inside
    ? [{ x: hub.x, y: laneOf(0) }, hub]
    : above
      ? [{ x: gapOf(high + 1), y: laneOf(high) }, { x: gapOf(high + 1), y: laneOf(high) + RISE }, hub]
      : [{ x: gapOf(low), y: laneOf(low) }, { x: gapOf(low), y: laneOf(low) - SPACING * 0.8 }, hub];
  const way = (row: number): Place[] => {
    const points: Place[] = [];
    for (let at = row; at !== goal; ) {
      const next = at > goal ? at - 1 : at + 1;
      const x = gapOf(Math.max(at, next));
      points.push({ x, y: laneOf(at) }, { x, y: laneOf(next) });
      at = next;
    }
    return [...points, ...last];
  };
  const ways = new Map([...new Set(rows)].map((row) => [row, way(row)] as const));
  const shared = new Shared();
  for (const [row, points] of ways) {
    for (const [at, from] of points.entries()) {
      const to = points[at + 1];
      if (to) shared.add(from, to);
    }
    const first = points[0];
    if (first) shared.add({ x: first.x, y: laneOf(row) }, first);
  }
  for (const { link, member } of links) {
    const row = rowOf(member);
    const up = { x: member.x, y: laneOf(row) };
    const rest = ways.get(row) ?? [];
    if (rest[0]) shared.add(up, rest[0]);
    strands.push({ from: member, to: up, evidence, ends: [link.a, link.b] });
    wires.push({ a: link.a, b: link.b, evidence, path: [member, up, ...rest] });
  }
  for (const { from, to } of shared.all()) strands.push({ from, to, evidence, ends: null });
}

/** What several wires share is one line: lanes grow, all else is there once. */
class Shared {
  private readonly lanes = new Map<number, { left: number; right: number }>();
  private readonly others = new Map<string, { from: Place; to: Place }>();

  add(from: Place, to: Place): void {
    if (from.y === to.y) {
      const lane = this.lanes.get(from.y) ?? { left: from.x, right: from.x };
      const [left, right] = [Math.min(lane.left, from.x, to.x), Math.max(lane.right, from.x, to.x)];
      this.lanes.set(from.y, { left, right });
    } else this.others.set(`${from.x} ${from.y} ${to.x} ${to.y}`, { from, to });
  }

  all(): { from: Place; to: Place }[] {
    const lanes = [...this.lanes].filter(([, { left, right }]) => right > left);
    return [
      ...lanes.map(([y, { left, right }]) => ({ from: { x: left, y }, to: { x: right, y } })),
      ...this.others.values(),
    ];
  }
}
