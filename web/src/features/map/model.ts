/**
 * Stage 1 of the map: what there is. Pure. The server's map and the stream's deltas become one immutable model; a
 * burst of deltas is applied in one copy.
 */
import type { LiveMessage } from "#/api/live";
import type { AssetStatus, MapGroup, MapLink, MapNode, MapOut } from "#/api/schema";

export interface MapModel {
  nodes: ReadonlyMap<string, MapNode>;
  links: ReadonlyMap<string, MapLink>;
  groups: ReadonlyMap<string, MapGroup>;
  truncated: boolean;
}
export type MapDelta = Exclude<LiveMessage<"topology">, { type: "resync" }>;

function byId<T extends { id: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.id, item]));
}

export function toModel(map: MapOut): MapModel {
  return {
    nodes: byId(map.nodes),
    links: byId(map.links),
    groups: byId(map.groups),
    truncated: map.truncated,
  };
}

export function applyDeltas(model: MapModel, deltas: readonly MapDelta[]): MapModel {
  const nodes = new Map(model.nodes);
  const links = new Map(model.links);
  const groups = new Map(model.groups);
  for (const delta of deltas) {
    switch (delta.type) {
      case "node":
        nodes.set(delta.data.id, delta.data);
        break;
      case "node_removed":
        nodes.delete(delta.data.id);
        for (const link of links.values())
          if (link.a === delta.data.id || link.b === delta.data.id) links.delete(link.id);
        break;
      case "link":
        links.set(delta.data.id, delta.data);
        break;
      case "link_removed":
        links.delete(delta.data.id);
        break;
      case "group":
        groups.set(delta.data.id, delta.data);
        break;
      case "group_removed":
        groups.delete(delta.data.id);
        break;
      case "positions":
        for (const place of delta.data.positions) {
          const node = nodes.get(place.asset_id);
          if (node) nodes.set(node.id, { ...node, x: place.x, y: place.y });
        }
        break;
    }
  }
  return { ...model, nodes, links, groups };
}

/** The same map with other states. */
export function withStatuses(model: MapModel, change: (status: AssetStatus) => AssetStatus): MapModel {
  const nodes = new Map<string, MapNode>();
  for (const [id, node] of model.nodes) nodes.set(id, { ...node, status: change(node.status) });
  return { ...model, nodes };
}

/** A place that a person chose. Nothing but that person moves it. */
export function isPinned(node: MapNode): node is MapNode & { x: number; y: number } {
  return typeof node.x === "number" && typeof node.y === "number";
}
