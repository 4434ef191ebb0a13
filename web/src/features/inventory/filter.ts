/** The search language of the inventory: `kind:device tag:prod status:up nas`, turned into the API's filters. */
import type { AssetKind, AssetStatus } from "#/api/schema";
import { assetKinds, assetStatuses } from "#/domain/asset";

export interface AssetFilter {
  kind?: AssetKind;
  status?: AssetStatus;
  tag?: string;
  q?: string;
}
type FilterProblem = { word: string; field: "kind" | "status"; allowed: readonly string[] };

/** Words are split at spaces; `tag:"living room"` keeps its own. The last of two equal fields wins. */
export function parseFilter(text: string): { filter: AssetFilter; problems: FilterProblem[] } {
  const filter: AssetFilter = {};
  const problems: FilterProblem[] = [];
  const words: string[] = [];
  for (const [, field, quoted, plain] of text.matchAll(/(?:(kind|status|tag):)?(?:"([^"]*)"?|(\S+))/gi)) {
    const value = quoted ?? plain ?? "";
    const name = field?.toLowerCase();
    if (!name) {
      // `kind:` with nothing behind it is still being typed.
      if (value && !/^(kind|status|tag):$/i.test(value)) words.push(value);
    } else if (name === "kind") {
      const kind = assetKinds.find((known) => known === value.toLowerCase());
      if (kind) filter.kind = kind;
      else problems.push({ word: value, field: "kind", allowed: assetKinds });
    } else if (name === "status") {
      const status = assetStatuses.find((known) => known === value.toLowerCase());
      if (status) filter.status = status;
      else problems.push({ word: value, field: "status", allowed: assetStatuses });
    } else if (value) filter.tag = value;
  }
  if (words.length > 0) filter.q = words.join(" ");
  return { filter, problems };
}
