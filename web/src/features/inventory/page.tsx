import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes, Plus, X } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { useAwaySince, useLive, useThrottled } from "#/api/hooks";
import { networksQuery } from "#/api/queries";
import type { Asset } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName, StatusMark, statusWhileAway, TagChip, tagsText } from "#/domain/asset";
import { parseFilter } from "#/domain/filter/grammar";
import { FilterProblems, problemsToSay } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { NoSuch } from "#/domain/no-such";
import { productName } from "#/domain/product";
import { useHidden } from "#/domain/removal";
import { useViews } from "#/domain/views/use-views";
import type { Shown } from "#/domain/views/views";
import { counted, useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { CsvLink } from "#/ui/csv-link";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, Warning } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { since, Time, widestTime } from "#/ui/time";
import { AssetForm } from "./asset-form";
import { AssetPanel } from "./asset-panel";
import { useAwayRows } from "./away";
import { BulkBar } from "./bulk-bar";
import { assetsQuery, exportAddress } from "./queries";

export interface InventorySearch {
  q?: string;
  network?: string;
  sort?: string;
  view?: string;
  selected?: string;
  panel?: "new";
}

const none: readonly Asset[] = [];
const shownOf = ({ q, sort, network, view }: InventorySearch): Shown => ({ q, sort, network, view });
const idOf = (row: Asset) => row.id;

export function InventoryPage({
  search,
  go,
}: {
  search: InventorySearch;
  go: (next: InventorySearch) => void;
}) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const text = search.q ?? "";
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(() => parseFilter(text, vocabulary), [text, vocabulary]);
  const asked = useMemo(
    () => ({ ...filter, ...(search.network ? { network: search.network } : {}) }),
    [filter, search.network],
  );
  const assets = useInfiniteQuery({
    ...assetsQuery(asked, search.sort ?? "name"),
    placeholderData: (previous) => previous,
    enabled: !blocked,
  });
  const hidden = useHidden();
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  // All that fit this filter, also those that are not loaded.
  const [everything, setEverything] = useState<string>();
  const [removed, setRemoved] = useState<string>();
  const key = JSON.stringify(asked);
  const all = everything === key;
  const allColumns = useColumns();
  const away = useAwayRows(
    !blocked && (assets.isPlaceholderData || assets.isPending),
    asked,
    search.sort ?? "name",
    allColumns,
  );
  const loaded = away?.rows ?? assets.data?.items ?? none;
  const rows = useMemo(
    () => (blocked || removed === key ? [] : loaded.filter((row) => !hidden.has(row.id))),
    [loaded, hidden, blocked, removed, key],
  );
  const chosen = useMemo(() => (all ? new Set(rows.map((row) => row.id)) : ticked), [all, rows, ticked]);
  const setChosen = (next: ReadonlySet<string>) => {
    setEverything(undefined);
    setTicked(next);
  };
  const selected = useMemo(() => rows.filter((row) => chosen.has(row.id)), [rows, chosen]);
  // How many fit is unknown while the server is away.
  const count = away ? null : assets.data?.total;
  const total = count ?? rows.length;
  const told = problemsToSay(problems, assets.isSuccess && rows.length === 0);
  const { columns, dense, menu } = useViews("inventory", allColumns, shownOf(search), (next) =>
    go(next as InventorySearch),
  );
  const writes = can("inventory:write");
  const setQ = useCallback((q: string) => go({ ...search, q: q || undefined }), [go, search]);

  // A change anywhere shows on the map's stream; the list follows, at most every two seconds.
  const refresh = useThrottled(() => void client.invalidateQueries({ queryKey: ["assets"] }), 2_000);
  useLive("topology", (message) => {
    if (message.type === "node" || message.type === "node_removed" || message.type === "resync") refresh();
  });

  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {/* In the head of a phone there is room for the sign only. */}
      <span className="max-md:in-[header]:sr-only">{t("asset.add")}</span>
    </Button>
  ) : null;
  const panel =
    search.panel === "new" && writes ? (
      <AssetForm onClose={close} onSaved={(id) => go({ ...search, panel: undefined, selected: id })} />
    ) : search.selected && !hidden.has(search.selected) ? (
      <AssetPanel
        key={search.selected}
        id={search.selected}
        onClose={close}
        onOpen={(id) => go({ ...search, selected: id })}
      />
    ) : undefined;
  const filtered = text !== "" || !!search.network;
  // Then there is nothing to filter, and the page itself offers how to begin.
  const isEmpty =
    !filtered && !away && assets.isSuccess && !assets.isPlaceholderData && rows.length === 0 && !search.view;

  return (
    <>
      <PageHead title={t("pages.inventory")} count={blocked ? "0" : counted(count)}>
        {isEmpty ? null : (
          <SearchBox
            label={t("inventory.search")}
            className="w-80 max-md:w-auto max-md:flex-1"
            value={text}
            onChange={setQ}
          />
        )}
        {rows.length > 0 ? (
          <CsvLink
            href={exportAddress(
              asked,
              search.sort ?? "name",
              columns.map((column) => column.id),
            )}
            label={t("common.csvOf")}
          >
            <span className="max-md:hidden">{t("common.csv")}</span>
          </CsvLink>
        ) : null}
        {isEmpty ? null : menu}
        {isEmpty ? null : add}
      </PageHead>
      {search.network ? (
        <div className="flex flex-wrap items-center gap-3 border-b border-line px-4 py-2">
          <NetworkFilter id={search.network} onClear={() => go({ ...search, network: undefined })} />
        </div>
      ) : null}
      <FilterProblems problems={told} text={text} onText={setQ} />
      {away?.notice ? <Warning className="mx-4 my-2">{away.notice}</Warning> : null}
      {selected.length > 0 ? (
        <BulkBar
          rows={selected}
          all={all}
          total={total}
          onAll={
            rows.length < total && !assets.isPlaceholderData && selected.length === rows.length
              ? () => setEverything(key)
              : undefined
          }
          filter={asked}
          hide={(whole) => setRemoved(whole ? key : undefined)}
          clear={() => setChosen(new Set())}
        />
      ) : null}
      <WithPanel panel={panel}>
        <DataTable
          label={t("pages.inventory")}
          columns={columns}
          dense={dense}
          rows={rows}
          rowId={idOf}
          rowLabel={(row) => row.name}
          loading={assets.isPending && !blocked && !away}
          error={assets.error}
          retry={() => void assets.refetch()}
          sort={search.sort ?? "name"}
          onSort={(sort) => go({ ...search, sort: sort === "name" ? undefined : sort || undefined })}
          selection={writes ? chosen : undefined}
          onSelection={writes ? setChosen : undefined}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
          hasMore={!away && assets.hasNextPage && !assets.isFetchingNextPage}
          loadMore={assets.fetchNextPage}
          total={count}
          empty={
            away?.notice && rows.length === 0 ? null : filtered ? (
              <Empty
                title={t("filter.noMatch")}
                action={<Button onClick={() => go({})}>{t("table.clearFilter")}</Button>}
              >
                {t("inventory.syntax")}
              </Empty>
            ) : (
              <Empty
                icon={<Boxes aria-hidden />}
                title={t("inventory.none")}
                action={
                  <>
                    {can("discovery:write") ? (
                      <Link to="/discovery" search={{ scan: "new" }} className={buttonClass("primary")}>
                        {t("inventory.scan")}
                      </Link>
                    ) : null}
                    {writes ? <Button onClick={() => go({ panel: "new" })}>{t("asset.add")}</Button> : null}
                  </>
                }
              >
                {t("inventory.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
    </>
  );
}

function NetworkFilter({ id, onClear }: { id: string; onClear: () => void }) {
  const { t } = useTranslation();
  const networks = useQuery(networksQuery);
  const network = networks.data?.find((one) => one.id === id);
  if (networks.data && !network)
    return <NoSuch text={t("inventory.inNoNetwork")} all={t("inventory.inAllNetworks")} onAll={onClear} />;
  return (
    <button
      type="button"
      onClick={onClear}
      className="inline-flex h-7 items-center gap-1.5 rounded border border-line-strong px-2 hover:bg-hover"
    >
      {t("inventory.inNetwork", { name: network ? network.name : "…" })}
      <X aria-hidden className="size-3.5 text-muted" />
      <span className="sr-only">{t("table.clearFilter")}</span>
    </button>
  );
}

type Translate = ReturnType<typeof useTranslation>["t"];
const shownRole = (row: Asset, t: Translate) => (row.role ? roleName(row.role) : t(`kind.${row.kind}`));

function useColumns(): Column<Asset>[] {
  const { t } = useTranslation();
  const away = useAwaySince() !== null;
  return useMemo(
    () => [
      {
        id: "name",
        header: t("asset.name"),
        sortable: true,
        width: { min: 132, max: 360, extra: 24 },
        text: (row) => row.name,
        cell: (row) => (
          <>
            <KindIcon kind={row.kind} role={row.role} />
            <span className="truncate">{row.name}</span>
          </>
        ),
      },
      {
        id: "status",
        header: t("asset.status"),
        sortable: true,
        width: { min: 88, max: 220, extra: 18, slim: 68 },
        text: (row) => (away ? t(`status.${statusWhileAway(row.status)}`) : statusText(row, t)),
        cell: (row) => <StatusCell asset={row} />,
      },
      {
        id: "address",
        header: t("asset.addresses"),
        sortable: true,
        width: { min: 120, max: 320, mono: true, text: firstAddress },
        text: (row) => row.addresses.join(" "),
        cell: (row) => (
          <span className="mono" title={row.addresses.join(", ")}>
            {row.addresses[0]}
            {row.addresses.length > 1 ? (
              <span className="text-muted"> +{row.addresses.length - 1}</span>
            ) : null}
          </span>
        ),
      },
      {
        id: "role",
        header: t("asset.kind"),
        sortable: true,
        className: "text-muted",
        width: { min: 96, max: 200, rank: 2 },
        text: (row) => shownRole(row, t),
        cell: (row) => shownRole(row, t),
      },
      {
        id: "vendor",
        header: t("asset.product"),
        sortable: true,
        className: "text-muted",
        width: { min: 112, max: 320, rank: 3 },
        text: productName,
        cell: (row) => <span title={productName(row)}>{productName(row)}</span>,
      },
      {
        id: "tags",
        header: t("asset.tags"),
        width: { min: 96, max: 280, rank: 4 },
        text: (row) => tagsText(row.tags.slice(0, 3)),
        cell: (row) => (
          <span className="flex gap-1 overflow-hidden">
            {row.tags.slice(0, 3).map((tag) => (
              <TagChip key={tag.id} tag={tag} />
            ))}
          </span>
        ),
      },
      {
        id: "last_seen_at",
        header: t("asset.lastSeen"),
        sortable: true,
        descendingFirst: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 1, text: widestTime },
        text: (row) => row.last_seen_at ?? "",
        cell: (row) => <Time at={row.last_seen_at} />,
      },
    ],
    [t, away],
  );
}

function firstAddress({ addresses }: Asset): string {
  return `${addresses[0] ?? ""}${addresses.length > 1 ? ` +${addresses.length - 1}` : ""}`;
}

/** With the time of the last answer where that is what it says. */
function statusText(asset: Asset, t: Translate): string {
  return asset.status === "not_seen" && asset.last_seen_at
    ? t("sight.notSeenSince", { time: since(asset.last_seen_at) })
    : t(`status.${asset.status}`);
}

function StatusCell({ asset }: { asset: Asset }) {
  const { t } = useTranslation();
  return (
    <>
      <span className="@max-xl:hidden">
        <StatusMark status={asset.status} withText text={statusText(asset, t)} />
      </span>
      <span className="@xl:hidden">
        <StatusMark status={asset.status} />
      </span>
    </>
  );
}
