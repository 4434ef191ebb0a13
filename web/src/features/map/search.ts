import { type Parsed, parseFilter } from "#/domain/filter/grammar";
import { mapKeys, matcher } from "#/domain/filter/matcher";
import { commonWords } from "#/domain/filter/vocabulary";
import { useTranslation as words } from "#/i18n";
import type { MapModel } from "./model";

const { t } = words();

/** What is asked of the map, in the one filter language. */
export function mapFilter(model: MapModel, text: string): Parsed {
  return parseFilter(text, { ...commonWords(t), networks: [...model.groups.values()] }, { keys: mapKeys });
}

/** The nodes that fit; none when the filter cannot be carried out, and null when nothing is asked. Best matches first. */
export function findNodes(model: MapModel, text: string): ReadonlySet<string> | null {
  const { filter, blocked } = mapFilter(model, text);
  if (blocked) return new Set();
  if (Object.keys(filter).length === 0) return null;
  const whole = (filter.q ?? "").toLowerCase();
  const fits = matcher(filter);
  const found: { id: string; rank: number }[] = [];
  for (const node of model.nodes.values()) {
    if (!fits(node)) continue;
    const name = node.name.toLowerCase();
    const exact = name === whole || node.addresses.some((address) => address.toLowerCase() === whole);
    found.push({ id: node.id, rank: exact ? 0 : name.startsWith(whole) ? 1 : 2 });
  }
  return new Set(found.sort((a, b) => a.rank - b.rank).map((hit) => hit.id));
}
