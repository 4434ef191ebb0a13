/**
 * What there is to draw: nodes where they stand, links as they run, groups with their outlines; and how they look. Knows no camera
 * and no GPU. The base is all that seldom changes; what is lit, chosen or dragged is drawn above it, so that it costs little.
 */
import type { LinkEvidence, MapLink, MapNode } from "#/api/schema";
import { drawingOf, isGateway, isHub } from "#/domain/icons";
import type { Group } from "./group";
import { hull, type Rim, rimOf } from "./hull";
import { joinsOf } from "./joins";
import { type Place, ROW, SPACING } from "./layout";
import { type LinkLook, linkRows } from "./link-program";
import { isPinned, type MapModel } from "./model";
import { type Mark, type NodeLook, nodeRows } from "./node-program";
import { DIM } from "./palette";
import type { Layer } from "./pixels";
import { routeLinks, type Strand, type Wire } from "./routes";
import { type Area, crosses, Ways } from "./ways";

export const RADIUS = 14;
const HUB_RADIUS = 18;
/** From the outermost nodes of a group to its outline, in map units. */
const PAD = SPACING * 0.62;
/** Names stand under their nodes; the outline keeps clear of them too. */
const NAMES_ROOM = SPACING * 0.2;
/** No name reaches further to a side, in map units: within a group about to its outline. */
const NAME_MOST = { within: SPACING * 0.7, alone: SPACING * 1.5 };

interface Beside {
  left?: Standing;
  right?: Standing;
  /** A node is in the next row. */
  below: boolean;
  above: boolean;
}

/** A node where it stands; a drag may have moved it from its place in the model. */
export interface Standing {
  id: string;
  x: number;
  y: number;
  radius: number;
  node: MapNode;
  group: string;
  pinned: boolean;
  /** The lower, the sooner its name gets room: gateways, this server, other hubs, the rest. */
  rank: Rank;
}
export interface Outline {
  group: Group;
  /** The box around it, in map units. */
  left: number;
  right: number;
  bottom: number;
  top: number;
  rim: Rim;
}
const RANKS = 4;
type Rank = 0 | 1 | 2 | 3;
function rankOf(node: MapNode): Rank {
  if (isGateway(node.role)) return 0;
  if (node.server) return 1;
  return isHub(node.role) ? 2 : 3;
}
/** What is lit and chosen. */
export interface Focus {
  hovered: string | null;
  selected: string | null;
  cursor: string | null;
  dragged: string | null;
}

export class Scene {
  nodes = new Map<string, Standing>();
  outlines: Outline[] = [];
  rims: Rim[] = [];
  /** The nodes of each rank. */
  ranks: Standing[][] = [];
  /** The neighbors of a node whose names are at the height of its own. */
  private beside = new Map<string, Beside>();
  private links: readonly MapLink[] = [];
  private wires = new Map<string, Wire[]>();
  private strands: Strand[] = [];
  /** Of the strands; made when a name first asks. */
  private ways: Ways | null = null;
  private matches: ReadonlySet<string> | null = null;
  private lifted: string | null = null;
  private layer: Layer | null = null;
  /** Changes with the base. */
  version = 0;

  /** `held`: a node that is in somebody's hand just now stays there. */
  set(
    model: MapModel,
    places: ReadonlyMap<string, Place>,
    groups: readonly Group[],
    held: string | null,
  ): void {
    const before = this.nodes;
    this.nodes = new Map();
    for (const group of groups)
      for (const node of group.members) {
        const place = held === node.id ? before.get(node.id) : places.get(node.id);
        if (!place) continue;
        const radius = isHub(node.role) ? HUB_RADIUS : RADIUS;
        const { x, y } = place;
        const rank = rankOf(node);
        const pinned = isPinned(node);
        this.nodes.set(node.id, { id: node.id, x, y, radius, node, group: group.id, pinned, rank });
      }
    this.ranks = Array.from({ length: RANKS }, () => []);
    for (const one of this.nodes.values()) this.ranks[one.rank]?.push(one);
    this.links = [...model.links.values()].filter((link) => this.nodes.has(link.a) && this.nodes.has(link.b));
    this.beside = besides(this.nodes.values());
    this.setGroups(groups);
    this.route(groups);
    this.change();
  }

  private setGroups(groups: readonly Group[]): void {
    this.outlines = [];
    this.rims = [];
    for (const group of groups) {
      const members = group.members.flatMap((node) => this.nodes.get(node.id) ?? []);
      if (members.length === 0) continue;
      const corners = hull(
        members.flatMap(({ x, y }) => [
          { x, y },
          { x, y: y - NAMES_ROOM },
        ]),
      );
      const rim = rimOf(corners, PAD);
      const xs = corners.map((corner) => corner.x);
      const ys = corners.map((corner) => corner.y);
      this.outlines.push({
        group,
        left: Math.min(...xs) - PAD,
        right: Math.max(...xs) + PAD,
        bottom: Math.min(...ys) - PAD,
        top: Math.max(...ys) + PAD,
        rim,
      });
      // What belongs to no network has no ground of its own.
      if (group.id) this.rims.push(rim);
    }
  }

  private route(groups: readonly Group[]): void {
    const { wires, strands } = routeLinks(this.links, (id) => {
      const one = this.nodes.get(id);
      return one && { x: one.x, y: one.y, group: one.group, hub: isHub(one.node.role), seated: !one.pinned };
    });
    this.strands = strands;
    this.ways = null;
    this.wires = new Map();
    for (const wire of wires)
      for (const id of new Set([wire.a, wire.b])) {
        const own = this.wires.get(id);
        if (own) own.push(wire);
        else this.wires.set(id, [wire]);
      }
    for (const { node, group } of joinsOf(groups)) {
      const from = this.nodes.get(node);
      const to = this.outlines.find((outline) => outline.group.id === group);
      if (!from || !to) continue;
      // To the nearest point of the outline; a way there that links have taken already is enough.
      if (
        strands.some(
          (strand) =>
            strand.ends === null &&
            strand.to.x === from.x &&
            strand.to.y === from.y &&
            inside(strand.from, to),
        )
      )
        continue;
      strands.push({ from, to: nearestOf(to.rim, from), evidence: "inferred", ends: [node, node] });
    }
  }

  /** How far a name may reach to each side of its node, in map units; `half` is half of what a neighbor's name takes. */
  reach(id: string, half: (neighbor: Standing) => number): number {
    const one = this.nodes.get(id);
    const { left, right } = this.beside.get(id) ?? {};
    if (!one) return 0;
    const to = (other: Standing | undefined) =>
      other ? Math.abs(other.x - one.x) - half(other) : Number.POSITIVE_INFINITY;
    return Math.min(to(left), to(right), one.group ? NAME_MOST.within : NAME_MOST.alone);
  }

  /** No other node is close under this one. */
  isLowest(id: string): boolean {
    return this.beside.get(id)?.below === false;
  }

  /** On which sides there is no other node near, so that a name has room there. */
  freeSides(id: string): { above: boolean; left: boolean; right: boolean } {
    const one = this.nodes.get(id);
    const { above = true, left, right } = this.beside.get(id) ?? {};
    const far = (other: Standing | undefined) => !other || !one || Math.abs(other.x - one.x) > 2.5 * SPACING;
    return { above: !above, left: far(left), right: far(right) };
  }

  /** Whether a link runs through an area, as links are routed. */
  isCrossed(area: Area): boolean {
    this.ways ??= new Ways(this.strands);
    return this.ways.cross(area);
  }

  /** Whether a link of what is in somebody's hand does. */
  isCrossedBy(dragged: string, area: Area): boolean {
    return this.pathsOf(dragged, dragged).some(({ from, to }) => crosses({ from, to }, area));
  }

  /** The links of a node. What is in somebody's hand has left its lanes. */
  private pathsOf(id: string, dragged: string | null): { from: Place; to: Place; evidence: LinkEvidence }[] {
    return (this.wires.get(id) ?? []).flatMap(({ a, b, evidence, path }) => {
      const ends = [this.nodes.get(a), this.nodes.get(b)].filter((one) => !!one);
      const places: readonly Place[] = a === dragged || b === dragged ? ends : path;
      return places.slice(1).flatMap((to, at) => {
        const from = places[at];
        return from ? [{ from, to, evidence }] : [];
      });
    });
  }

  setMatches(matches: ReadonlySet<string> | null): void {
    this.matches = matches;
    this.change();
  }

  /** Takes a node out of the base, to be drawn above it; null puts it back. */
  lift(id: string | null): void {
    if (this.lifted === id) return;
    this.lifted = id;
    this.change();
  }

  private change(): void {
    this.layer = null;
    this.version += 1;
  }

  neighbors(id: string): ReadonlySet<string> {
    const near = new Set<string>();
    for (const { a, b } of this.wires.get(id) ?? []) near.add(a === id ? b : a);
    return near;
  }

  /** The filter does not ask for it. */
  isMissed(id: string): boolean {
    return !!this.matches && !this.matches.has(id);
  }

  /** While something is hovered all else is dim; under a filter it is the filter that says what is. */
  isDim(id: string, { hovered, selected, cursor, dragged }: Focus, lit: ReadonlySet<string> | null): boolean {
    if (lit?.has(id) || [hovered, selected, cursor, dragged].includes(id)) return false;
    return this.matches ? this.isMissed(id) : lit !== null;
  }

  /** How much of the base is seen. What the filter has dimmed is not dimmed again. */
  baseAlpha(lit: ReadonlySet<string> | null): number {
    return lit && !this.matches ? DIM.shape : 1;
  }

  private look(one: Standing, mark: Mark, dim = false): NodeLook {
    const { x, y, radius, node, pinned } = one;
    const icon = drawingOf(node.kind, node.role).index;
    return {
      x,
      y,
      size: radius,
      icon,
      status: node.status,
      pinned,
      mark,
      alpha: dim ? DIM.shape : 1,
    };
  }

  base(): Layer {
    if (this.layer) return this.layer;
    const nodes: NodeLook[] = [];
    for (const one of this.nodes.values())
      if (one.id !== this.lifted) nodes.push(this.look(one, "none", this.isMissed(one.id)));
    const links: LinkLook[] = [];
    for (const { from, to, evidence, ends } of this.strands) {
      if (ends?.some((id) => id === this.lifted)) continue;
      const dim = this.matches !== null && (ends === null || ends.some((id) => this.isMissed(id)));
      links.push({ from, to, evidence, strong: false, alpha: dim ? DIM.shape : 1 });
    }
    this.layer = { nodes: nodeRows(nodes), links: linkRows(links) };
    return this.layer;
  }

  /** What is lit: the hovered node and its neighbors. */
  lit({ hovered }: Focus): ReadonlySet<string> | null {
    return hovered && this.nodes.has(hovered) ? new Set([hovered, ...this.neighbors(hovered)]) : null;
  }

  above(focus: Focus, lit: ReadonlySet<string> | null): Layer {
    const { hovered, selected, cursor, dragged } = focus;
    const ids = new Set<string>(lit ?? []);
    for (const id of [selected, cursor, hovered, dragged]) if (id) ids.add(id);
    const nodes: NodeLook[] = [];
    for (const id of ids) {
      const one = this.nodes.get(id);
      if (one) nodes.push(this.look(one, id === selected ? "selected" : id === cursor ? "cursor" : "none"));
    }
    const links: LinkLook[] = [];
    const wired = [...new Set([hovered ?? selected, dragged])].filter((id) => id !== null);
    for (const id of wired)
      for (const path of this.pathsOf(id, dragged)) links.push({ ...path, strong: true, alpha: 1 });
    // Lines end at the rims of nodes: those that they lead to are drawn over them.
    for (const id of wired)
      for (const near of this.neighbors(id)) {
        const one = this.nodes.get(near);
        if (one && !ids.has(near)) nodes.unshift(this.look(one, "none", this.isMissed(near)));
      }
    return { nodes: nodeRows(nodes), links: linkRows(links) };
  }

  /** The topmost node within reach of a place; on screen no node is smaller than `smallest`, in map units. */
  at({ x, y }: Place, smallest: number, reach: number): Standing | null {
    let found: Standing | null = null;
    for (const one of this.nodes.values())
      if (Math.hypot(one.x - x, one.y - y) <= reach * Math.max(one.radius, smallest)) found = one;
    return found;
  }
}

function besides(nodes: Iterable<Standing>): Map<string, Beside> {
  const rows = new Map<number, Standing[]>();
  const all = [...nodes].sort((a, b) => a.x - b.x);
  const rowOf = ({ y }: Place) => Math.round(y / ROW);
  for (const one of all) {
    const row = rows.get(rowOf(one));
    if (row) row.push(one);
    else rows.set(rowOf(one), [one]);
  }
  const found = new Map<string, Beside>();
  // What a person has moved may be between two rows.
  for (const one of all) {
    const beside: Beside = { below: false, above: false };
    found.set(one.id, beside);
    for (let at = rowOf(one) - 2; at <= rowOf(one) + 2; at++) {
      const row = rows.get(at) ?? [];
      const near = nearest(row, one, (other) => Math.abs(other.y - one.y) < ROW / 2);
      const under = nearest(row, one, ({ y }) => y < one.y - ROW / 2 && y > one.y - ROW * 1.5);
      const over = nearest(row, one, ({ y }) => y > one.y + ROW / 2 && y < one.y + ROW * 1.5);
      const close = (other: Standing | undefined) => !!other && Math.abs(other.x - one.x) < SPACING;
      beside.below ||= close(under.left) || close(under.right);
      beside.above ||= close(over.left) || close(over.right);
      if (near.left && !(beside.left && beside.left.x > near.left.x)) beside.left = near.left;
      if (near.right && !(beside.right && beside.right.x < near.right.x)) beside.right = near.right;
    }
  }
  return found;
}

/** In a row that is sorted from left to right. */
function nearest(
  row: readonly Standing[],
  one: Standing,
  counts: (other: Standing) => boolean,
): { left?: Standing; right?: Standing } {
  const fits = (at: number) => {
    const other = row[at];
    return !!other && other !== one && counts(other);
  };
  let [from, to] = [0, row.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((row[middle]?.x ?? 0) < one.x) from = middle + 1;
    else to = middle;
  }
  let [left, right] = [from - 1, from];
  while (left >= 0 && !fits(left)) left--;
  while (right < row.length && !fits(right)) right++;
  return { left: row[left], right: row[right] };
}

function inside({ x }: Place, { left, right }: Outline): boolean {
  return x >= left && x <= right;
}

function nearestOf(rim: Rim, { x, y }: Place): Place {
  const far = (point: Place) => Math.hypot(point.x - x, point.y - y);
  return rim.reduce<Place>((best, point) => (far(point) < far(best) ? point : best), rim[0] ?? { x, y });
}
