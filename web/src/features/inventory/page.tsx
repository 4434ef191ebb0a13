import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes, Download, Plus, Tag as TagIcon, Trash2, X } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { http } from "#/api/client";
import { useLive, useThrottled } from "#/api/hooks";
import { networksQuery } from "#/api/queries";
import type { Asset } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName, StatusMark, TagChip } from "#/domain/asset";
import { useHidden, useRemoval } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { downloadCsv, toCsv } from "#/ui/csv";
import { type Column, DataTable } from "#/ui/data-table";
import { Dialog } from "#/ui/dialog";
import { Empty, ErrorBox } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { AssetForm } from "./asset-form";
import { AssetPanel } from "./asset-panel";
import { parseFilter } from "./filter";
import { assetsQuery, useAddTags } from "./queries";
import { TagPicker } from "./tag-picker";

export interface InventorySearch {
  q?: string;
  network?: string;
  sort?: string;
  selected?: string;
  panel?: "new";
}

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
  const { filter, problems } = useMemo(() => parseFilter(text), [text]);
  const assets = useInfiniteQuery({
    ...assetsQuery(filter, search.network, search.sort ?? "name"),
    placeholderData: (previous) => previous,
  });
  const hidden = useHidden();
  const rows = useMemo(
    () => (assets.data?.items ?? []).filter((row) => !hidden.has(row.id)),
    [assets.data, hidden],
  );
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const columns = useColumns();
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
      {t("asset.add")}
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

  return (
    <>
      <PageHead title={t("pages.inventory")} count={assets.data?.total?.toLocaleString()}>
        <SearchBox
          label={t("inventory.search")}
          className="w-80 max-md:w-auto max-md:flex-1"
          value={text}
          onChange={setQ}
        />
        <Button
          aria-label={t("common.csvOf")}
          disabled={rows.length === 0}
          onClick={() => downloadCsv("inventory.csv", toCsv(columns, rows))}
        >
          <Download aria-hidden className="size-4" />
          <span className="max-md:hidden">{t("common.csv")}</span>
        </Button>
        {add}
      </PageHead>
      {problems.length > 0 || search.network ? (
        <div className="flex flex-wrap items-center gap-3 border-b border-line px-4 py-2">
          {search.network ? (
            <NetworkFilter id={search.network} onClear={() => go({ ...search, network: undefined })} />
          ) : null}
          {problems.map((problem) => (
            <p key={problem.word} role="status" className="text-degraded-text">
              {t("inventory.unknownValue", {
                field: problem.field,
                word: problem.word,
                allowed: problem.allowed.join(", "),
              })}
            </p>
          ))}
        </div>
      ) : null}
      {chosen.size > 0 ? (
        <BulkBar rows={rows.filter((row) => chosen.has(row.id))} clear={() => setChosen(new Set())} />
      ) : null}
      <WithPanel panel={panel}>
        <DataTable
          label={t("pages.inventory")}
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={assets.isPending}
          error={assets.error}
          retry={() => void assets.refetch()}
          sort={search.sort ?? "name"}
          onSort={(sort) => go({ ...search, sort: sort === "name" ? undefined : sort || undefined })}
          selection={writes ? chosen : undefined}
          onSelection={writes ? setChosen : undefined}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
          hasMore={assets.hasNextPage && !assets.isFetchingNextPage}
          loadMore={assets.fetchNextPage}
          total={assets.data?.total}
          empty={
            filtered ? (
              <Empty
                title={t("inventory.noMatch")}
                action={<Button onClick={() => go({})}>{t("inventory.clear")}</Button>}
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
  return (
    <button
      type="button"
      onClick={onClear}
      className="inline-flex h-7 items-center gap-1.5 rounded border border-line-strong px-2 hover:bg-hover"
    >
      {t("inventory.inNetwork", { name: network ? network.name : "…" })}
      <X aria-hidden className="size-3.5 text-muted" />
      <span className="sr-only">{t("inventory.clear")}</span>
    </button>
  );
}

function BulkBar({ rows, clear }: { rows: readonly Asset[]; clear: () => void }) {
  const { t } = useTranslation();
  const remove = useRemoval();
  const addTags = useAddTags();
  const [tagging, setTagging] = useState(false);
  const [picked, setPicked] = useState<string[]>([]);
  return (
    <div
      role="toolbar"
      aria-label={t("table.bulk")}
      className="flex min-h-12 flex-wrap items-center gap-2 border-b border-line bg-accent-soft px-4 py-1.5"
    >
      <span className="mr-2">{t("table.selected", { count: rows.length })}</span>
      <Button onClick={() => setTagging(true)}>
        <TagIcon aria-hidden className="size-4" />
        {t("inventory.addTag")}
      </Button>
      <Button
        look="danger"
        onClick={() => {
          remove({
            ids: rows.map((row) => row.id),
            text: t("inventory.deletedMany", { count: rows.length }),
            resource: "assets",
            send: (id) => http.DELETE("/api/v1/assets/{id}", { params: { path: { id } } }),
            invalidate: [["assets", "list"], ["networks"], ["tags"]],
          });
          clear();
        }}
      >
        <Trash2 aria-hidden className="size-4" />
        {t("common.delete")}
      </Button>
      <Button look="ghost" onClick={clear}>
        {t("table.clear")}
      </Button>
      <Dialog title={t("inventory.addTag")} open={tagging} onClose={() => setTagging(false)}>
        {addTags.error ? <ErrorBox error={addTags.error} className="mb-3" /> : null}
        <TagPicker value={picked} onChange={setPicked} />
        <div className="mt-4 flex gap-2">
          <Button
            look="primary"
            disabled={picked.length === 0}
            busy={addTags.isPending}
            onClick={() =>
              addTags.mutate(
                { assets: rows, tags: picked },
                {
                  onSuccess: (tagged) => {
                    setTagging(false);
                    setPicked([]);
                    clear();
                    toast(t("inventory.tagged", { count: tagged }));
                  },
                },
              )
            }
          >
            {t("inventory.addTagTo", { count: rows.length })}
          </Button>
          <Button onClick={() => setTagging(false)}>{t("common.cancel")}</Button>
        </div>
      </Dialog>
    </div>
  );
}

function useColumns(): Column<Asset>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("asset.name"),
        sortable: true,
        className: "w-[28%] @max-xl:w-auto",
        csv: (row) => row.name,
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
        className: "w-28 @max-xl:w-14",
        csv: (row) => row.status,
        cell: (row) => <StatusCell asset={row} />,
      },
      {
        id: "addresses",
        header: t("asset.addresses"),
        className: "w-[19%] @max-xl:w-32",
        csv: (row) => row.addresses.join(" "),
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
        id: "kind",
        header: t("asset.kind"),
        sortable: true,
        className: "w-32 text-muted @max-3xl:hidden",
        csv: (row) => row.kind,
        cell: (row) => (row.role ? roleName(row.role) : t(`kind.${row.kind}`)),
      },
      {
        id: "vendor",
        header: t("asset.vendor"),
        className: "text-muted @max-5xl:hidden",
        csv: (row) => [row.vendor, row.model].filter(Boolean).join(" "),
        cell: (row) => [row.vendor, row.model].filter(Boolean).join(" "),
      },
      {
        id: "tags",
        header: t("asset.tags"),
        className: "w-[14%] @max-3xl:hidden",
        csv: (row) => row.tags.map((tag) => tag.name).join(" "),
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
        className: "w-28 text-muted @max-xl:hidden",
        csv: (row) => row.last_seen_at ?? "",
        cell: (row) => <Time at={row.last_seen_at} />,
      },
    ],
    [t],
  );
}

function StatusCell({ asset }: { asset: Asset }) {
  return (
    <>
      <span className="@max-xl:hidden">
        <StatusMark status={asset.status} withText />
      </span>
      <span className="@xl:hidden">
        <StatusMark status={asset.status} />
      </span>
    </>
  );
}
