import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck, Radar } from "lucide-react";
import { type ReactNode, useCallback, useMemo, useState } from "react";
import { useLive, useThrottled } from "#/api/hooks";
import type { Finding } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName } from "#/domain/asset";
import { parseFilter } from "#/domain/filter/grammar";
import { findingKeys } from "#/domain/filter/matcher";
import { FilterProblems } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, ErrorBox } from "#/ui/feedback";
import { SearchBox } from "#/ui/search-box";
import { useTableView } from "#/ui/table-view";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { Confidence } from "./confidence";
import { applyFinding, type FindingState, findingsKey, findingsQuery, useAcceptMany } from "./queries";

interface FindingsProps {
  state: FindingState;
  q: string;
  sort: string;
  onList: (next: { q?: string; sort?: string }) => void;
  selected?: string;
  onSelect: (finding: Finding | null) => void;
  begin: ReactNode;
}

export function Findings({ state, q, sort, onList, selected, onSelect, begin }: FindingsProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(
    () => parseFilter(q, vocabulary, { keys: findingKeys }),
    [q, vocabulary],
  );
  const findings = useInfiniteQuery({
    ...findingsQuery(state, filter, sort),
    placeholderData: (previous) => previous,
    enabled: !blocked,
  });
  const setQ = useCallback((next: string) => onList({ q: next || undefined }), [onList]);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [accepted, setAccepted] = useState(0);
  const accept = useAcceptMany();
  const refetch = useThrottled(() => void client.invalidateQueries({ queryKey: findingsKey }), 1_000);
  useLive("discovery", (message) => {
    if (message.type === "resync") refetch();
    if (message.type === "finding" && applyFinding(client, message.data)) refetch();
  });

  const rows = blocked ? [] : (findings.data?.items ?? []);
  // What only the server knows is a problem when it knows it neither.
  const told = problems.filter((one) => one.type !== "doubt" || (findings.isSuccess && rows.length === 0));
  const { columns, dense, menu } = useTableView("findings", useColumns());
  const writes = can("discovery:write") && state === "open";
  // Only what is still shown may be accepted: a finding that went away under the selection is not.
  const ids = rows.filter((row) => chosen.has(row.id)).map((row) => row.id);

  async function acceptAll(): Promise<void> {
    // "All" means all, not only the pages that happen to be loaded. Bounded, so that a broken cursor cannot loop.
    await findings.refetch();
    let result = await findings.fetchNextPage();
    for (let page = 0; result.hasNextPage && page < 200; page++) result = await findings.fetchNextPage();
    accept.mutate(
      (result.data?.items ?? rows).map((row) => row.id),
      { onSuccess: done },
    );
  }
  function done(result: { count: number; skipped: { reason: string }[] }): void {
    setAccepted(result.count);
    setChosen(new Set());
    onSelect(null);
    toast(t("findings.acceptedMany", { count: result.count }));
    if (result.skipped[0]?.reason)
      toast(t("findings.skipped", { count: result.skipped.length, reason: result.skipped[0].reason }), {
        tone: "error",
      });
  }

  return (
    <>
      {accepted > 0 ? (
        <div
          role="status"
          className="flex flex-wrap items-center gap-3 border-b border-line bg-accent-soft px-4 py-2.5"
        >
          <CircleCheck aria-hidden className="size-4 text-accent-text" />
          <span className="flex-1">{t("findings.acceptedMany", { count: accepted })}</span>
          <Link to="/map" className={buttonClass("primary")}>
            {t("findings.seeThem")}
          </Link>
        </div>
      ) : null}
      {accept.error ? <ErrorBox error={accept.error} className="m-4" /> : null}
      {writes && rows.length > 0 ? (
        <div className="flex min-h-12 flex-wrap items-center gap-2 border-b border-line px-4 py-1.5">
          {ids.length > 0 ? (
            <>
              <span className="text-muted">{t("table.selected", { count: ids.length })}</span>
              <Button
                look="primary"
                busy={accept.isPending}
                onClick={() => accept.mutate(ids, { onSuccess: done })}
              >
                {t("findings.acceptChosen", { count: ids.length })}
              </Button>
              <Button look="ghost" onClick={() => setChosen(new Set())}>
                {t("table.clear")}
              </Button>
            </>
          ) : (
            <>
              <span className="flex-1 text-muted">{t("findings.lead")}</span>
              <Button look="primary" busy={accept.isPending} onClick={() => void acceptAll()}>
                {t("findings.acceptAll", { count: findings.data?.total ?? rows.length })}
              </Button>
            </>
          )}
        </div>
      ) : null}
      {rows.length > 0 || q ? (
        <div className="flex items-center gap-2 border-b border-line px-4 py-2">
          <SearchBox label={t("findings.search")} className="max-w-96 flex-1" value={q} onChange={setQ} />
          {menu}
        </div>
      ) : null}
      <FilterProblems problems={told} text={q} onText={setQ} />
      <DataTable
        label={t("findings.title")}
        columns={columns}
        dense={dense}
        rows={rows}
        rowId={(row) => row.id}
        rowLabel={(row) => row.title}
        sort={sort}
        onSort={(next) => onList({ sort: next || undefined })}
        loading={findings.isPending && !blocked}
        error={findings.error}
        retry={() => void findings.refetch()}
        selection={writes ? chosen : undefined}
        onSelection={writes ? setChosen : undefined}
        activeId={selected}
        onOpen={onSelect}
        hasMore={findings.hasNextPage && !findings.isFetchingNextPage}
        loadMore={findings.fetchNextPage}
        total={findings.data?.total}
        empty={
          q ? (
            <Empty
              title={t("filter.noMatch")}
              action={<Button onClick={() => setQ("")}>{t("filter.clear")}</Button>}
            />
          ) : state === "open" ? (
            <Empty icon={<Radar aria-hidden />} title={t("findings.noneOpen")} action={begin}>
              {t("findings.noneOpenText")}
            </Empty>
          ) : (
            <Empty title={t(`findings.none.${state}`)} />
          )
        }
      />
    </>
  );
}

const about = ({ proposal }: Finding) =>
  [proposal.role && roleName(proposal.role), proposal.os].filter(Boolean).join(" · ");

function useColumns(): Column<Finding>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "title",
        header: t("findings.what"),
        sortable: true,
        width: { min: 132, max: 360, extra: 24, text: (row) => row.title },
        cell: (row) => (
          <>
            <KindIcon kind={row.proposal.kind} role={row.proposal.role} />
            <span className="truncate">{row.title}</span>
          </>
        ),
      },
      {
        id: "address",
        header: t("asset.addresses"),
        sortable: true,
        width: { min: 120, max: 320, extra: 40, text: (row) => row.proposal.addresses[0]?.ip ?? "" },
        cell: (row) => (
          <span className="mono">
            {row.proposal.addresses[0]?.ip}
            {row.proposal.addresses.length > 1 ? (
              <span className="text-muted"> +{row.proposal.addresses.length - 1}</span>
            ) : null}
          </span>
        ),
      },
      {
        id: "role",
        header: t("findings.about"),
        sortable: true,
        className: "text-muted",
        width: { min: 112, max: 280, text: about, rank: 2 },
        cell: about,
      },
      {
        id: "vendor",
        header: t("asset.vendor"),
        sortable: true,
        className: "text-muted",
        width: { min: 112, max: 320, text: (row) => row.proposal.vendor ?? "", rank: 3 },
        cell: (row) => row.proposal.vendor,
      },
      {
        id: "evidence",
        header: t("findings.evidence"),
        width: { min: 88, max: 96, rank: 5 },
        cell: (row) => row.evidence.length,
      },
      {
        id: "confidence",
        header: t("findings.confidence"),
        sortable: true,
        descendingFirst: true,
        width: { min: 120, max: 140, rank: 4 },
        cell: (row) => <Confidence value={row.confidence} />,
      },
      {
        id: "last_seen_at",
        header: t("findings.seen"),
        sortable: true,
        descendingFirst: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 1, text: () => "59 minutes ago" },
        cell: (row) => <Time at={row.last_seen_at} />,
      },
    ],
    [t],
  );
}
