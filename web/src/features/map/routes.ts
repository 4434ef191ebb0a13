/**
 * How links run. Pure. Links of one group to the same hub share lanes: up from the node into the lane above its row,
 * along that to a lane beside the middle, and there to the hub. Words are under their nodes, so lanes do not cross them.
 * Any other link is a straight line.
 */
import type { LinkEvidence, MapLink } from "#/api/schema";
import { type Place, SPACING } from "./layout";

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
/** From the middle of a hub to the lane beside it: between two nodes of every row. */
const ASIDE = SPACING * 0.29;
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
  const heights = links.map(({ member }) => member.y + RISE);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const xs = links.map(({ member }) => member.x);
  const column = inside ? hub.x + ASIDE : laneNear((Math.min(...xs) + Math.max(...xs)) / 2, links);
  // Where the lane beside the middle ends: above the hub, or at the side of the group that looks to the hub.
  const end = inside ? hub.y + RISE : hub.y > (low + high) / 2 ? high + RISE : low - SPACING * 0.8;
  const last: Place[] = inside
    ? [{ x: column, y: end }, { x: hub.x, y: end }, hub]
    : [{ x: column, y: end }, hub];
  const rows = new Map<number, { left: number; right: number }>();
  const stretch = (y: number, x: number) => {
    const row = rows.get(y) ?? { left: x, right: x };
    rows.set(y, { left: Math.min(row.left, x), right: Math.max(row.right, x) });
  };
  for (const { link, member } of links) {
    const y = Math.round((member.y + RISE) * 1_000) / 1_000;
    const up = { x: member.x, y };
    // In the row of the hub there is no need to go round by the lane beside it.
    const straight = inside && member.y === hub.y;
    const rest = straight ? last.slice(1) : [{ x: column, y }, ...last];
    stretch(y, member.x);
    stretch(y, straight ? hub.x : column);
    strands.push({ from: member, to: up, evidence, ends: [link.a, link.b] });
    wires.push({ a: link.a, b: link.b, evidence, path: [member, up, ...rest] });
  }
  for (const [y, { left, right }] of rows)
    strands.push({ from: { x: left, y }, to: { x: right, y }, evidence, ends: null });
  const [bottom, top] = [Math.min(low, end), Math.max(high, end)];
  if (top > bottom)
    strands.push({ from: { x: column, y: bottom }, to: { x: column, y: top }, evidence, ends: null });
  for (const [at, from] of last.entries()) {
    const to = last[at + 1];
    if (to) strands.push({ from, to, evidence, ends: null });
  }
}

/** A lane near `x` that runs between the nodes: a little beside one of them. */
function laneNear(x: number, links: Bundle["links"]): number {
  const first = links[0]?.member.x ?? x;
  return first + Math.round((x - first) / (SPACING / 2)) * (SPACING / 2) + ASIDE;
}
