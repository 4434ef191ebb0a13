/** The filter over things that the client holds whole, such as the nodes of the map. */
import type { AssetKind, AssetStatus } from "#/api/schema";
import { type Filter, type FilterKey, plain } from "./grammar";

/** What can be asked of findings, which are no assets yet. */
export const findingKeys = [
  "kind",
  "role",
  "tag",
  "vendor",
  "network",
  "port",
  "seen",
] as const satisfies readonly FilterKey[];

interface Matchable {
  name: string;
  kind: AssetKind;
  role: string | null;
  status: AssetStatus;
  network_id: string | null;
  addresses: readonly string[];
  ports: readonly number[];
  tags?: readonly string[];
  vendor?: string | null;
  last_seen_at?: string | null;
}

/** A predicate for `filter`, as the server carries it out. Every field that is given must fit, and every word must be found. */
export function matcher(filter: Filter): (node: Matchable) => boolean {
  const words = (filter.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const role = filter.role === undefined ? undefined : plain(filter.role);
  const tag = filter.tag?.toLowerCase();
  const vendor = filter.vendor?.toLowerCase();
  const after = filter.seen_after === undefined ? undefined : Date.parse(filter.seen_after);
  const before = filter.seen_before === undefined ? undefined : Date.parse(filter.seen_before);
  return (node) => {
    if (filter.kind && node.kind !== filter.kind) return false;
    if (role !== undefined && plain(node.role ?? "") !== role) return false;
    if (filter.status && node.status !== filter.status) return false;
    if (filter.network && node.network_id !== filter.network) return false;
    if (filter.port && !node.ports.includes(filter.port)) return false;
    if (tag !== undefined && !node.tags?.some((one) => one.toLowerCase() === tag)) return false;
    if (vendor !== undefined && !node.vendor?.toLowerCase().includes(vendor)) return false;
    if (after !== undefined || before !== undefined) {
      // What was never seen is neither older nor newer.
      const seen = node.last_seen_at ? Date.parse(node.last_seen_at) : Number.NaN;
      if (after !== undefined && !(seen >= after)) return false;
      if (before !== undefined && !(seen < before)) return false;
    }
    if (words.length === 0) return true;
    const { name, kind, status, addresses, tags = [] } = node;
    const hay = [name, node.role ?? "", kind, status, node.vendor ?? "", ...addresses, ...tags]
      .join("\n")
      .toLowerCase();
    return words.every((word) => hay.includes(word));
  };
}
