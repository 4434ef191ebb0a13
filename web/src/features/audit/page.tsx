import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { ArrowUp, ScrollText, ShieldCheck } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { http, take } from "#/api/client";
import { useAwaySince, useLiveState } from "#/api/hooks";
import type { AuditEntry } from "#/api/schema";
import { NOTHING } from "#/domain/nothing";
import { useViews } from "#/domain/views/use-views";
import { addWords, counted, useTranslation } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { Button } from "#/ui/button";
import { CsvLink } from "#/ui/csv-link";
import { cx } from "#/ui/cx";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, ErrorBox } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { PageHead, WithPanel } from "#/ui/page";
import { Panel } from "#/ui/panel";
import { SearchBox } from "#/ui/search-box";
import { Time, widestTime } from "#/ui/time";
import { Contradiction } from "./contradiction";
import { details } from "./details";
import { EntryPanel } from "./entry-panel";
import { type AuditFilter, auditQuery, exportHref, standingQuery } from "./queries";
import { actionLabel, actions, type Batch, batches, changed, sentence } from "./sentence";
import { useTail } from "./tail";
import { Verification } from "./verification";

addWords(words);

/** As the address has it: an action that nobody knows narrows nothing. */
export interface AuditSearch extends Omit<AuditFilter, "action"> {
  action?: string;
  entry?: number;
  view?: string;
  /** What the page is asked to do as it opens. */
  run?: "verify";
}

const NEWEST = "-seq";

export function AuditPage({ search, go }: { search: AuditSearch; go: (next: AuditSearch) => void }) {
  const { t } = useTranslation();
  const { entry: chosen, view, run, ...rest } = search;
  const filter: AuditFilter = { ...rest, action: actions.find((one) => one === rest.action) };
  const { q = "", action, entity, sort = NEWEST } = filter;
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const log = useInfiniteQuery(auditQuery(filter));
  const tail = useTail(filter);
  const list = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => log.data?.items ?? [], [log.data]);
  const told = useMemo(() => batches(rows), [rows]);
  const { columns, dense, menu } = useViews(
    "audit_log",
    useColumns(),
    { q: search.q, sort: search.sort, action, entity, view },
    (next) => go(next as AuditSearch),
  );
  const standing = useQuery(standingQuery);
  const verify = useMutation({ mutationFn: () => take(http.GET("/api/v1/audit-log/verify")) });
  const { mutate } = verify;
  useEffect(() => {
    if (run !== "verify") return;
    go({ ...search, run: undefined });
    mutate();
  }, [run, search, go, mutate]);
  const entry = useChosen(rows, chosen);
  const active = told.find((batch) => batch.entries.some((one) => one.seq === chosen));
  return (
    <>
      <PageHead title={t("pages.audit")} count={counted(log.data?.total)}>
        <SearchBox
          label={t("audit.filter")}
          className="w-64 max-md:w-full lg:max-xl:w-48"
          value={q}
          onChange={setQ}
        />
        <SelectField
          label={t("audit.byAction")}
          hideLabel
          className="w-44 max-md:w-auto max-md:min-w-40 max-md:flex-1"
          value={action ?? ""}
          onChange={(event) => go({ ...search, action: event.target.value || undefined })}
        >
          <option value="">{t("audit.anyAction")}</option>
          {actions.map((one) => (
            <option key={one} value={one}>
              {actionLabel(one, t)}
            </option>
          ))}
        </SelectField>
        {menu}
        <LiveSwitch on={tail.live} onChange={tail.setLive} />
        <CsvLink href={exportHref(filter)} name="audit-log.csv" label={t("audit.export")}>
          {t("common.csv")}
        </CsvLink>
        <Button className="max-md:flex-1" busy={verify.isPending} onClick={() => verify.mutate()}>
          <ShieldCheck aria-hidden className="size-4" />
          {t("audit.verify")}
        </Button>
      </PageHead>
      {standing.data?.contradicted ? <Contradiction signed={standing.data.contradicted} /> : null}
      {verify.error ? <ErrorBox error={verify.error} className="m-4" /> : null}
      {verify.data ? (
        <Verification verdict={verify.data} at={verify.submittedAt} onClose={verify.reset} />
      ) : null}
      {entity ? (
        <div className="flex items-center gap-2 border-b border-line px-4 py-1.5 text-muted">
          <span className="min-w-0 truncate">
            {entity === NOTHING ? (
              t("audit.aboutNothing")
            ) : (
              <>
                {t("audit.about")} <span className="mono">{entity}</span>
              </>
            )}
          </span>
          <Button look="ghost" className="h-7" onClick={() => go({ ...search, entity: undefined })}>
            {t("audit.everything")}
          </Button>
        </div>
      ) : null}
      {tail.fresh ? (
        <button
          type="button"
          className="flex h-8 shrink-0 items-center justify-center gap-1.5 border-b border-line bg-accent-soft font-medium text-accent-text"
          onClick={() => {
            list.current?.scrollTo({ top: 0 });
            tail.catchUp();
          }}
        >
          <ArrowUp aria-hidden className="size-4" />
          {t("audit.fresh")}
        </button>
      ) : null}
      <WithPanel
        panel={
          entry ? (
            <EntryPanel
              entry={entry}
              batch={
                told.find((batch) => batch.entries.some((one) => one.seq === entry.seq))?.entries ?? [entry]
              }
              onEntry={(seq) => go({ ...search, entry: seq })}
              onActor={(name) => go({ ...search, q: name })}
              onEntity={(id) => go({ ...search, entity: id })}
              onClose={() => go({ ...search, entry: undefined })}
            />
          ) : chosen !== undefined && log.isSuccess ? (
            <NoEntry seq={chosen} onClose={() => go({ ...search, entry: undefined })} />
          ) : undefined
        }
      >
        <DataTable
          label={t("pages.audit")}
          columns={columns}
          dense={dense}
          wraps
          rows={told}
          rowId={({ entries }) => rowId(entries)}
          rowLabel={({ entries }) => sentence(entries, t)}
          sort={sort}
          onSort={(next) => go({ ...search, sort: next === NEWEST ? undefined : next })}
          loading={log.isPending}
          error={log.error}
          retry={() => void log.refetch()}
          activeId={active && rowId(active.entries)}
          onOpen={(batch) => go({ ...search, entry: batch.entry.seq })}
          hasMore={log.hasNextPage && !log.isFetchingNextPage}
          loadMore={log.fetchNextPage}
          total={log.data?.total}
          onTop={tail.setAtTop}
          scrollerRef={list}
          empty={
            q || action || entity ? (
              <Empty
                icon={<ScrollText aria-hidden />}
                title={t("audit.noMatch")}
                action={<Button onClick={() => go({})}>{t("audit.showAll")}</Button>}
              >
                {t("audit.noMatchText")}
              </Empty>
            ) : (
              <Empty icon={<ScrollText aria-hidden />} title={t("audit.none")}>
                {t("audit.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
    </>
  );
}

/** The log is read from its end: an entry may be further down, or left out by the filter. */
function NoEntry({ seq, onClose }: { seq: number; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("audit.number", { seq })} onClose={onClose}>
      <Empty
        icon={<ScrollText aria-hidden />}
        title={t("audit.noEntry")}
        action={
          <Button look="primary" onClick={onClose}>
            {t("common.close")}
          </Button>
        }
      >
        {t("audit.noEntryText")}
      </Empty>
    </Panel>
  );
}

/** The oldest entry of a batch stays in it when newer ones come. */
const rowId = (entries: readonly AuditEntry[]) => String(Math.min(...entries.map((entry) => entry.seq)));

/** The chosen entry stays open when the list is read anew without it. */
function useChosen(rows: readonly AuditEntry[], seq: number | undefined): AuditEntry | undefined {
  const [kept, setKept] = useState<AuditEntry>();
  const found = rows.find((row) => row.seq === seq);
  if (found && found.seq !== kept?.seq) setKept(found);
  return found ?? (kept?.seq === seq ? kept : undefined);
}

/** Turned on it follows the log, as long as new entries can come at all. */
export function LiveSwitch({ on, onChange }: { on: boolean; onChange: (on: boolean) => void }) {
  const { t } = useTranslation();
  const state = useLiveState("audit-log");
  const away = useAwaySince() !== null;
  const broken = away ? "away" : state === "waiting" || state === "blocked" ? state : undefined;
  const title = on && broken ? t(`live.${broken}`) : t(on ? "audit.liveOn" : "audit.liveOff");
  return (
    <Button aria-pressed={on} title={title} onClick={() => onChange(!on)}>
      <span
        aria-hidden
        className={cx(
          "size-2",
          on && broken
            ? "bg-down"
            : on && state === "open"
              ? "rounded-full bg-up"
              : "rounded-full border border-unknown",
        )}
      />
      {t(on && broken ? "audit.notLive" : "audit.live")}
    </Button>
  );
}

function useColumns(): Column<Batch>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "what",
        header: t("audit.happened"),
        width: {
          min: 240,
          max: 900,
          text: ({ entry, entries }) => `${sentence(entries, t)}: ${changed(entry, t).join(", ")}`,
        },
        cell: ({ entry, entries }) => <Happened entry={entry} entries={entries} />,
      },
      {
        id: "detail",
        header: t("audit.detail"),
        className: "text-muted",
        width: { min: 140, max: 480, rank: 2, text: ({ entries }) => details(entries, t) },
        cell: ({ entries }) => {
          const text = details(entries, t);
          return <span title={text || undefined}>{text}</span>;
        },
      },
      {
        id: "address",
        header: t("audit.address"),
        width: { min: 112, max: 320, mono: true, rank: 1, text: ({ entry }) => entry.address ?? "" },
        cell: ({ entry }) => <span className="mono text-muted">{entry.address}</span>,
      },
      {
        id: "seq",
        header: t("audit.at"),
        sortable: true,
        descendingFirst: true,
        className: "text-muted",
        width: { min: 104, max: 140, text: widestTime },
        cell: ({ entry }) => <Time at={entry.at} />,
      },
    ],
    [t],
  );
}

function Happened({ entry, entries }: Batch) {
  const { t } = useTranslation();
  const fields = entries.length === 1 ? changed(entry, t) : [];
  return (
    <span className="truncate @max-xl:line-clamp-2 @max-xl:whitespace-normal">
      {sentence(entries, t)}
      {fields.length > 0 ? <span className="text-muted">: {fields.join(", ")}</span> : null}
    </span>
  );
}
