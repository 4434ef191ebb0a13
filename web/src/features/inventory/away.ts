/**
 * The inventory while the server is away. A filter or an order that was not asked for before is carried out here, over the
 * assets that were loaded, by the same grammar. What the loaded rows cannot answer is said.
 */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { useAwaySince } from "#/api/hooks";
import type { Asset, Page } from "#/api/schema";
import type { Filter } from "#/domain/filter/grammar";
import { matcher } from "#/domain/filter/matcher";
import { useTranslation } from "#/i18n";
import type { Column } from "#/ui/data-table";

const LIST = ["assets", "list"] as const;

interface Pages {
  pages: Page<Asset>[];
}

interface Loaded {
  assets: ReadonlyMap<string, Asset>;
  /** Nothing is missing. */
  whole: boolean;
}

/** Every asset of every list that was loaded. */
function loadedAssets(client: QueryClient): Loaded {
  const assets = new Map<string, Asset>();
  let whole = false;
  for (const [key, data] of client.getQueriesData<Pages>({ queryKey: LIST })) {
    if (!data) continue;
    for (const page of data.pages) for (const asset of page.items) assets.set(asset.id, asset);
    const all = Object.keys((key[2] ?? {}) as Filter).length === 0;
    if (all && data.pages.at(-1)?.next_cursor === null) whole = true;
  }
  return { assets, whole };
}

/** What a list knows of an asset. */
export const assetInLists = (client: QueryClient, id: string): Asset | undefined =>
  loadedAssets(client).assets.get(id);

/** What the rows of a list do not hold, or hold only as it was. */
const UNKNOWN = ["port", "network", "status"] as const satisfies readonly (keyof Filter)[];

/** Pure, for the test. */
export function filterLoaded(
  { assets, whole }: Loaded,
  filter: Filter,
  sort: string,
  columns: readonly Pick<Column<Asset>, "id" | "text">[],
): { rows: readonly Asset[]; whole: boolean } | { cannot: (typeof UNKNOWN)[number] } {
  const cannot = UNKNOWN.find((key) => filter[key] !== undefined);
  if (cannot) return { cannot };
  const fits = matcher(filter);
  const rows = [...assets.values()].filter((asset) =>
    fits({ ...asset, network_id: null, ports: [], tags: asset.tags.map((tag) => tag.name) }),
  );
  const text = columns.find(({ id }) => id === sort.replace("-", ""))?.text ?? ((asset: Asset) => asset.name);
  const order = new Intl.Collator("en", { numeric: true }).compare;
  rows.sort((a, b) => order(text(a), text(b)) * (sort.startsWith("-") ? -1 : 1) || order(a.name, b.name));
  return { rows, whole };
}

interface Shown {
  rows: readonly Asset[];
  /** What to know about these rows. */
  notice?: string;
}

/** Nothing while the server answers. `pending`: the rows on the screen are those of another question. */
export function useAwayRows(
  pending: boolean,
  filter: Filter,
  sort: string,
  columns: readonly Column<Asset>[],
): Shown | undefined {
  const { t } = useTranslation();
  const client = useQueryClient();
  const away = useAwaySince() !== null && pending;
  return useMemo(() => {
    if (!away) return undefined;
    const found = filterLoaded(loadedAssets(client), filter, sort, columns);
    if ("cannot" in found) return { rows: [], notice: t(`inventory.awayCannot.${found.cannot}`) };
    return { rows: found.rows, notice: found.whole ? undefined : t("inventory.awayPart") };
  }, [away, client, filter, sort, columns, t]);
}
