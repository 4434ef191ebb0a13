/** Stage 2: who stands together. Pure. Nodes by network, in a stable order; the rest in one group without a name. */
import type { AssetStatus, MapNode } from "#/api/schema";
import type { MapModel } from "./model";

export interface Group {
  id: string;
  name: string;
  cidr: string;
  members: MapNode[];
  worst: AssetStatus;
  counts: Record<AssetStatus, number>;
}
/** The group of what belongs to no known network. */
export const UNGROUPED = "";

/** What is broken speaks for its group; else the group is as most of its nodes are. */
function worstOf(counts: Readonly<Record<AssetStatus, number>>): AssetStatus {
  if (counts.down > 0) return "down";
  if (counts.degraded > 0) return "degraded";
  const { up, not_seen, unknown, maintenance } = counts;
  if (up > unknown + not_seen && up >= maintenance) return "up";
  if (maintenance > unknown + not_seen) return "maintenance";
  return not_seen > unknown ? "not_seen" : "unknown";
}

export function groupNodes(model: MapModel): Group[] {
  const groups = new Map<string, Group>();
  const make = (id: string, name: string, cidr: string): Group => ({
    id,
    name,
    cidr,
    members: [],
    worst: "unknown",
    counts: { up: 0, degraded: 0, down: 0, not_seen: 0, unknown: 0, maintenance: 0 },
  });
  for (const group of model.groups.values()) groups.set(group.id, make(group.id, group.name, group.cidr));
  for (const node of model.nodes.values()) {
    const id = node.network_id && groups.has(node.network_id) ? node.network_id : UNGROUPED;
    let group = groups.get(id);
    if (!group) {
      group = make(UNGROUPED, "", "");
      groups.set(UNGROUPED, group);
    }
    group.members.push(node);
    group.counts[node.status] += 1;
  }
  return [...groups.values()]
    .filter((group) => group.members.length > 0)
    .map((group) => ({
      ...group,
      worst: worstOf(group.counts),
      members: group.members.sort((a, b) => (a.id < b.id ? -1 : 1)),
    }))
    .sort((a, b) => (a.id === UNGROUPED ? 1 : b.id === UNGROUPED ? -1 : a.id < b.id ? -1 : 1));
}
