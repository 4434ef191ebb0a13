import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck, Radar } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useLive, useThrottled } from "#/api/hooks";
import type { Finding } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName } from "#/domain/asset";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, ErrorBox } from "#/ui/feedback";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { Confidence } from "./confidence";
import { applyFinding, type FindingState, findingsKey, findingsQuery, useAcceptMany } from "./queries";

interface FindingsProps {
  state: FindingState;
  selected?: string;
  onSelect: (finding: Finding | null) => void;
  begin: ReactNode;
}

export function Findings({ state, selected, onSelect, begin }: FindingsProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const findings = useInfiniteQuery(findingsQuery(state));
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [accepted, setAccepted] = useState(0);
  const accept = useAcceptMany();
  const refetch = useThrottled(() => void client.invalidateQueries({ queryKey: findingsKey }), 1_000);
  useLive("discovery", (message) => {
    if (message.type === "resync") refetch();
    if (message.type === "finding" && applyFinding(client, message.data)) refetch();
  });

  const rows = findings.data?.items ?? [];
  const columns = useColumns();
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
  function done(result: { accepted: number; skipped: string[] }): void {
    setAccepted(result.accepted);
    setChosen(new Set());
    onSelect(null);
    toast(t("findings.acceptedMany", { count: result.accepted }));
    if (result.skipped[0])
      toast(t("findings.skipped", { count: result.skipped.length, reason: result.skipped[0] }), {
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
      <DataTable
        label={t("findings.title")}
        columns={columns}
        rows={rows}
        rowId={(row) => row.id}
        rowLabel={(row) => row.title}
        loading={findings.isPending}
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
          state === "open" ? (
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

function useColumns(): Column<Finding>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "title",
        header: t("findings.what"),
        className: "w-[34%] @max-xl:w-auto",
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
        className: "w-[19%] @max-xl:w-32",
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
        id: "about",
        header: t("findings.about"),
        className: "@max-5xl:hidden",
        cell: (row) => (
          <span className="text-muted">
            {[row.proposal.role && roleName(row.proposal.role), row.proposal.vendor, row.proposal.os]
              .filter(Boolean)
              .join(" · ")}
          </span>
        ),
      },
      {
        id: "evidence",
        header: t("findings.evidence"),
        className: "w-24 @max-3xl:hidden",
        cell: (row) => row.evidence.length,
      },
      {
        id: "confidence",
        header: t("findings.confidence"),
        className: "w-32 @max-3xl:w-16 @max-xl:hidden",
        cell: (row) => <Confidence value={row.confidence} />,
      },
      {
        id: "seen",
        header: t("findings.seen"),
        className: "w-28 text-muted @max-xl:hidden",
        cell: (row) => <Time at={row.last_seen_at} />,
      },
    ],
    [t],
  );
}
