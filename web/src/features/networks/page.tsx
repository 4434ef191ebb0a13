import { useQuery, useQueryClient } from "@tanstack/react-query";
import { EthernetPort, Plus } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { useLive, useThrottled } from "#/api/hooks";
import { networksQuery } from "#/api/queries";
import { useAuth } from "#/api/session";
import { parseFilter } from "#/domain/filter/grammar";
import { FilterProblems, problemsToSay } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { Gone } from "#/domain/gone";
import { useHidden } from "#/domain/removal";
import { useViews } from "#/domain/views/use-views";
import { addWords, counted, useTranslation } from "#/i18n";
import discoveryWords from "#/i18n/en/discovery.json";
import words from "#/i18n/en/networks.json";
import { Button } from "#/ui/button";
import { DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { useColumns } from "./columns";
import { fits, networkKeys } from "./filter";
import { NetworkForm } from "./network-form";
import { NetworkPanel } from "./network-panel";

addWords(words);
addWords(discoveryWords);

export interface NetworksSearch {
  q?: string;
  sort?: string;
  view?: string;
  selected?: string;
  panel?: "edit";
}

interface NetworksPageProps {
  search: NetworksSearch;
  go: (next: NetworksSearch) => void;
}

export function NetworksPage({ search, go }: NetworksPageProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const networks = useQuery(networksQuery);
  const hidden = useHidden();
  const text = search.q ?? "";
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(
    () => parseFilter(text, vocabulary, { keys: networkKeys }),
    [text, vocabulary],
  );
  const all = useMemo(
    () => (networks.data ?? []).filter((row) => !hidden.has(row.id)),
    [networks.data, hidden],
  );
  const rows = useMemo(() => (blocked ? [] : all.filter(fits(filter))), [all, filter, blocked]);
  const { columns, dense, menu } = useViews(
    "networks",
    useColumns(),
    { q: search.q, sort: search.sort, view: search.view },
    (next) => go(next as NetworksSearch),
  );
  const setQ = useCallback((q: string) => go({ ...search, q: q || undefined }), [go, search]);

  // Assets and scans change what a network says of itself.
  const refresh = useThrottled(
    () => void client.invalidateQueries({ queryKey: networksQuery.queryKey }),
    2_000,
  );
  useLive("topology", refresh);
  useLive("discovery", (message) => {
    if (message.type === "scan" || message.type === "resync") refresh();
  });

  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const writes = can("inventory:write");
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: "new", panel: undefined })}>
      <Plus aria-hidden className="size-4" />
      {/* In the head of a phone there is room for the sign only. */}
      <span className="max-md:in-[header]:sr-only">{t("networks.add")}</span>
    </Button>
  ) : null;
  // Then the page itself offers how to begin.
  const isEmpty = networks.isSuccess && all.length === 0 && !search.view;
  return (
    <>
      <PageHead title={t("pages.networks")} count={networks.data ? counted(rows.length) : undefined}>
        {all.length > 0 ? (
          <SearchBox
            label={t("networks.filter")}
            className="w-80 max-md:w-auto max-md:flex-1"
            value={text}
            onChange={setQ}
          />
        ) : null}
        {isEmpty ? null : menu}
        {isEmpty ? null : add}
      </PageHead>
      <FilterProblems problems={problemsToSay(problems, rows.length === 0)} text={text} onText={setQ} />
      <WithPanel panel={<SelectedPanel search={search} go={go} onClose={close} writes={writes} />}>
        <DataTable
          label={t("pages.networks")}
          columns={columns}
          dense={dense}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={networks.isPending}
          error={networks.error}
          retry={() => void networks.refetch()}
          sort={search.sort ?? "cidr"}
          onSort={(sort) => go({ ...search, sort: sort || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, selected: row.id, panel: undefined })}
          total={rows.length}
          empty={
            all.length > 0 ? (
              <Empty
                title={t("filter.noMatch")}
                action={<Button onClick={() => setQ("")}>{t("table.clearFilter")}</Button>}
              />
            ) : (
              <Empty icon={<EthernetPort aria-hidden />} title={t("networks.none")} action={add}>
                {t("networks.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
    </>
  );
}

function SelectedPanel({
  search,
  go,
  onClose,
  writes,
}: NetworksPageProps & { onClose: () => void; writes: boolean }) {
  const networks = useQuery(networksQuery);
  const hidden = useHidden();
  const { selected } = search;
  const network = networks.data?.find((row) => row.id === selected);
  const [last, setLast] = useState(network);
  if (network && network !== last) setLast(network);
  if (!selected || hidden.has(selected)) return null;
  const open = (id: string) => go({ ...search, selected: id, panel: undefined });
  if (selected === "new") return writes ? <NetworkForm key="new" onClose={onClose} onSaved={open} /> : null;
  const known = last?.id === selected ? last : undefined;
  if (search.panel === "edit" && writes && known)
    return (
      <NetworkForm
        key={`edit ${selected}`}
        network={known}
        gone={!network && !!networks.data}
        onClose={() => open(selected)}
        onSaved={open}
      />
    );
  if (!network)
    return networks.data ? <Gone kind="network" id={selected} name={known?.name} onClose={onClose} /> : null;
  return (
    <NetworkPanel
      key={selected}
      network={network}
      onClose={onClose}
      onEdit={() => go({ ...search, panel: "edit" })}
    />
  );
}
