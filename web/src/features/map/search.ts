import type { MapNode } from "#/api/schema";
import { NetworkIndex } from "#/domain/address";
import { type Parsed, parseFilter } from "#/domain/filter/grammar";
import { matcher } from "#/domain/filter/matcher";
import { commonWords } from "#/domain/filter/vocabulary";
import { useTranslation as words } from "#/i18n";
import type { MapModel } from "./model";

const { t } = words();

/** What is asked of the map, in the one filter language. */
export function mapFilter(model: MapModel, text: string): Parsed {
  const tags = new Set<string>();
  for (const node of model.nodes.values()) for (const tag of node.tags ?? []) tags.add(tag);
  return parseFilter(text, {
    ...commonWords(t),
    tags: [...tags].sort(),
    networks: [...model.groups.values()],
  });
}

/** The nodes that fit; none when the filter cannot be carried out, and null when nothing is asked. Best matches first. */
export function findNodes(model: MapModel, text: string): ReadonlySet<string> | null {
  const { filter, blocked } = mapFilter(model, text);
  if (blocked) return new Set();
  if (Object.keys(filter).length === 0) return null;
  const whole = (filter.q ?? "").toLowerCase();
  const { network, ...others } = filter;
  const fits = matcher(others);
  // A node stands in one network and may have addresses in several.
  const networks = new NetworkIndex([...model.groups.values()].map(({ id, cidr }) => ({ cidr, is: id })));
  const isIn = (node: MapNode) =>
    node.network_id === network || node.addresses.some((address) => networks.find(address) === network);
  const found: { id: string; rank: number }[] = [];
  for (const node of model.nodes.values()) {
    if (!fits(node) || (network !== undefined && !isIn(node))) continue;
    const name = node.name.toLowerCase();
    const exact = name === whole || node.addresses.some((address) => address.toLowerCase() === whole);
    found.push({ id: node.id, rank: exact ? 0 : name.startsWith(whole) ? 1 : 2 });
  }
  return new Set(found.sort((a, b) => a.rank - b.rank).map((hit) => hit.id));
}
