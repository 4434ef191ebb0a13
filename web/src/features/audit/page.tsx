import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Download, ScrollText, ShieldAlert, ShieldCheck } from "lucide-react";
import { useCallback, useMemo } from "react";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";
import type { AuditEntry } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { Button } from "#/ui/button";
import { downloadCsv, toCsv } from "#/ui/csv";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, ErrorBox } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { PageHead, WithPanel } from "#/ui/page";
import { Panel, Section } from "#/ui/panel";
import { SearchBox } from "#/ui/search-box";
import { Time } from "#/ui/time";

addWords(words);

export interface AuditSearch {
  q?: string;
  action?: string;
  entry?: number;
}

const auditQuery = (q: string, action: string | undefined) =>
  pagedQuery(["audit", q, action], (cursor) =>
    take(
      http.GET("/api/v1/audit-log", {
        params: { query: { limit: PAGE_SIZE, cursor, action, ...(q ? { q } : {}) } },
      }),
    ),
  );

/** What is most often looked for, offered before it has been seen; the rest is offered once it stands in the log. */
const proposed = [
  "asset_created",
  "asset_deleted",
  "asset_updated",
  "findings_accepted",
  "invite_accepted",
  "invite_made",
  "login",
  "login_failed",
  "logout",
  "password_changed",
  "password_reset",
  "reset_link_made",
  "role_changed",
  "scan_requested",
  "second_factor_cleared",
  "sessions_ended",
  "settings_updated",
  "token_created",
  "token_deleted",
  "totp_disabled",
  "totp_enabled",
  "user_created",
  "user_deleted",
  "user_disabled",
  "user_enabled",
];

export function AuditPage({ search, go }: { search: AuditSearch; go: (next: AuditSearch) => void }) {
  const { t } = useTranslation();
  const q = search.q ?? "";
  const { action } = search;
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const log = useInfiniteQuery(auditQuery(q, action));
  const rows = log.data?.items ?? [];
  const actions = [
    ...new Set([...proposed, ...rows.map((row) => row.action), ...(action ? [action] : [])]),
  ].sort();
  const columns = useColumns();
  const verify = useMutation({ mutationFn: () => take(http.GET("/api/v1/audit-log/verify")) });
  const entry = rows.find((row) => row.seq === search.entry);
  return (
    <>
      <PageHead title={t("pages.audit")} count={log.data?.total?.toLocaleString()}>
        <SearchBox label={t("audit.filter")} className="w-64 max-md:w-full" value={q} onChange={setQ} />
        <SelectField
          label={t("audit.byAction")}
          hideLabel
          className="w-48 max-md:w-auto max-md:flex-1"
          value={action ?? ""}
          onChange={(event) => go({ q: search.q, action: event.target.value || undefined })}
        >
          <option value="">{t("audit.anyAction")}</option>
          {actions.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </SelectField>
        <Button
          onClick={() => downloadCsv("audit-log.csv", toCsv(columns, rows))}
          disabled={rows.length === 0}
          aria-label={t("common.csvOf")}
        >
          <Download aria-hidden className="size-4" />
          {t("common.csv")}
        </Button>
        <Button look="primary" busy={verify.isPending} onClick={() => verify.mutate()}>
          <ShieldCheck aria-hidden className="size-4" />
          {t("audit.verify")}
        </Button>
      </PageHead>
      {verify.error ? <ErrorBox error={verify.error} className="m-4" /> : null}
      {verify.data ? (
        <div
          role="status"
          className={`flex gap-3 border-b border-line px-4 py-3 ${verify.data.ok ? "bg-surface" : "bg-down-soft"}`}
        >
          {verify.data.ok ? (
            <ShieldCheck aria-hidden className="size-5 shrink-0 text-up-text" />
          ) : (
            <ShieldAlert aria-hidden className="size-5 shrink-0 text-down-text" />
          )}
          <div className="min-w-0">
            <p className="font-medium">
              {verify.data.ok
                ? t("audit.ok", { count: verify.data.entries })
                : t("audit.broken", { seq: verify.data.broken_at ?? "?", reason: verify.data.reason ?? "" })}
            </p>
            <p className="text-muted">
              {t("audit.head")} <span className="mono break-all select-all">{verify.data.head}</span>
            </p>
          </div>
        </div>
      ) : null}
      <WithPanel
        panel={
          entry ? <EntryPanel entry={entry} onClose={() => go({ ...search, entry: undefined })} /> : undefined
        }
      >
        <DataTable
          label={t("pages.audit")}
          columns={columns}
          rows={rows}
          rowId={(row) => String(row.seq)}
          rowLabel={(row) => row.action}
          loading={log.isPending}
          error={log.error}
          retry={() => void log.refetch()}
          activeId={search.entry === undefined ? undefined : String(search.entry)}
          onOpen={(row) => go({ ...search, entry: row.seq })}
          hasMore={log.hasNextPage && !log.isFetchingNextPage}
          loadMore={log.fetchNextPage}
          total={log.data?.total}
          empty={
            <Empty
              icon={<ScrollText aria-hidden />}
              title={t(search.q || action ? "audit.noMatch" : "audit.none")}
            >
              {t("audit.noneText")}
            </Empty>
          }
        />
      </WithPanel>
    </>
  );
}

function EntryPanel({ entry, onClose }: { entry: AuditEntry; onClose: () => void }) {
  const { t } = useTranslation();
  const rows: [string, string | null][] = [
    [t("audit.actor"), `${entry.actor.name} (${t(`actor.${entry.actor.kind}`)})`],
    [t("audit.entity"), [entry.entity_kind, entry.entity_id].filter(Boolean).join(" ") || null],
    [t("error.requestId"), entry.request_id ?? null],
    [t("audit.hash"), entry.hash],
    [t("audit.prevHash"), entry.prev_hash],
  ];
  return (
    <Panel title={entry.action} subtitle={<Time at={entry.at} />} onClose={onClose}>
      <dl className="flex flex-col gap-2.5">
        {rows.map(([label, value]) =>
          value ? (
            <div key={label}>
              <dt className="text-xs text-muted">{label}</dt>
              <dd className="mono break-all">{value}</dd>
            </div>
          ) : null,
        )}
      </dl>
      <Section title={t("audit.detail")}>
        <pre className="mono overflow-x-auto rounded-md bg-sunken p-3 break-words whitespace-pre-wrap">
          {JSON.stringify(entry.detail, null, 2)}
        </pre>
      </Section>
    </Panel>
  );
}

function useColumns(): Column<AuditEntry>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "action",
        header: t("audit.action"),
        className: "w-[30%] @max-xl:w-auto",
        cell: (row) => <span className="mono truncate">{row.action}</span>,
        csv: (row) => row.action,
      },
      {
        id: "actor",
        header: t("audit.actor"),
        className: "w-[18%] @max-xl:w-24",
        cell: (row) => row.actor.name,
        csv: (row) => row.actor.name,
      },
      {
        id: "entity",
        header: t("audit.entity"),
        className: "@max-xl:hidden",
        cell: (row) => (
          <span className="text-muted">
            {row.entity_kind} <span className="mono">{row.entity_id}</span>
          </span>
        ),
        csv: (row) => [row.entity_kind, row.entity_id].filter(Boolean).join(" "),
      },
      {
        id: "at",
        header: t("audit.at"),
        className: "w-28 text-muted",
        cell: (row) => <Time at={row.at} />,
        csv: (row) => row.at,
      },
      {
        id: "hash",
        header: t("audit.hash"),
        className: "w-32 @max-5xl:hidden",
        cell: (row) => <span className="mono text-muted">{row.hash.slice(0, 12)}</span>,
        csv: (row) => row.hash,
      },
    ],
    [t],
  );
}
