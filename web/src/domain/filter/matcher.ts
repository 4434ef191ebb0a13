/** The filter over things that the client holds whole, such as the nodes of the map. */
import type { AssetKind, AssetStatus } from "#/api/schema";
import { type Filter, type FilterKey, plain } from "./grammar";

/** What can be asked of the map, whose nodes have no tags, vendor or time. */
export const mapKeys = ["kind", "role", "status", "network", "port"] as const satisfies readonly FilterKey[];

/** What can be asked of findings, which are no assets yet. */
export const findingKeys = [
  "kind",
  "role",
  "vendor",
  "network",
  "port",
] as const satisfies readonly FilterKey[];

interface Matchable {
  name: string;
  kind: AssetKind;
  role: string | null;
  status: AssetStatus;
  network_id: string | null;
  addresses: readonly string[];
  ports: readonly number[];
}

/** A predicate for `filter`. Every field that is given must fit, and every word must be found. */
export function matcher(filter: Filter): (node: Matchable) => boolean {
  const words = (filter.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const role = filter.role === undefined ? undefined : plain(filter.role);
  return (node) => {
    if (filter.kind && node.kind !== filter.kind) return false;
    if (role !== undefined && plain(node.role ?? "") !== role) return false;
    if (filter.status && node.status !== filter.status) return false;
    if (filter.network && node.network_id !== filter.network) return false;
    if (filter.port && !node.ports.includes(filter.port)) return false;
    if (words.length === 0) return true;
    const hay = [node.name, node.role ?? "", node.kind, node.status, ...node.addresses]
      .join("\n")
      .toLowerCase();
    return words.every((word) => hay.includes(word));
  };
}
