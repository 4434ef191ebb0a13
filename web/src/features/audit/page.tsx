import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { ArrowUp, Download, ScrollText, ShieldCheck } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";
import { http, take } from "#/api/client";
import type { AuditEntry } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { Button, buttonClass } from "#/ui/button";
import { cx } from "#/ui/cx";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, ErrorBox } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time } from "#/ui/time";
import { Contradiction } from "./contradiction";
import { EntryPanel } from "./entry-panel";
import { type AuditFilter, auditQuery, exportHref, standingQuery } from "./queries";
import { useTail } from "./tail";
import { Verification } from "./verification";

addWords(words);

export interface AuditSearch extends AuditFilter {
  entry?: number;
}

/** What is most often looked for, offered before it has been seen; the rest is offered once it stands in the log. */
const proposed = [
  "asset_created",
  "asset_deleted",
  "asset_updated",
  "backup_restored",
  "channel_created",
  "channel_deleted",
  "channel_disabled",
  "channel_redelivered",
  "channel_tested",
  "channel_updated",
  "checkpoint_contradicted",
  "checkpoint_damaged",
  "credential_created",
  "credential_deleted",
  "credential_tested",
  "credential_updated",
  "findings_accepted",
  "hook_created",
  "hook_deleted",
  "hook_received",
  "hook_secret_rotated",
  "hook_updated",
  "invite_accepted",
  "invite_made",
  "login",
  "login_failed",
  "logout",
  "password_changed",
  "password_reset",
  "reset_link_made",
  "role_changed",
  "rollback_accepted",
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
  "vault_key_created",
  "vault_key_rotated",
  "vault_keys_removed",
  "vault_root_changed",
  "vault_rotation_failed",
  "webhook_created",
  "webhook_deleted",
  "webhook_disabled",
  "webhook_redelivered",
  "webhook_secret_rotated",
  "webhook_tested",
  "webhook_updated",
];

export function AuditPage({ search, go }: { search: AuditSearch; go: (next: AuditSearch) => void }) {
  const { t } = useTranslation();
  const { entry: chosen, ...filter } = search;
  const { q = "", action, entity } = filter;
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const log = useInfiniteQuery(auditQuery(filter));
  const tail = useTail(filter);
  const list = useRef<HTMLDivElement>(null);
  const rows = log.data?.items ?? [];
  const actions = [
    ...new Set([...proposed, ...rows.map((row) => row.action), ...(action ? [action] : [])]),
  ].sort();
  const columns = useColumns();
  const standing = useQuery(standingQuery);
  const verify = useMutation({ mutationFn: () => take(http.GET("/api/v1/audit-log/verify")) });
  const entry = useChosen(rows, chosen);
  return (
    <>
      <PageHead title={t("pages.audit")} count={log.data?.total?.toLocaleString()}>
        <SearchBox label={t("audit.filter")} className="w-64 max-md:w-full" value={q} onChange={setQ} />
        <SelectField
          label={t("audit.byAction")}
          hideLabel
          className="w-44 max-md:w-auto max-md:min-w-40 max-md:flex-1"
          value={action ?? ""}
          onChange={(event) => go({ ...filter, action: event.target.value || undefined })}
        >
          <option value="">{t("audit.anyAction")}</option>
          {actions.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </SelectField>
        <LiveSwitch on={tail.live} onChange={tail.setLive} />
        <a
          href={exportHref(filter)}
          download="audit-log.csv"
          className={buttonClass()}
          aria-label={t("audit.export")}
          title={t("audit.export")}
        >
          <Download aria-hidden className="size-4" />
          {t("common.csv")}
        </a>
        <Button
          look="primary"
          className="max-md:flex-1"
          busy={verify.isPending}
          onClick={() => verify.mutate()}
        >
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
            {t("audit.about")} <span className="mono">{entity}</span>
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
              key={entry.seq}
              entry={entry}
              onActor={(name) => go({ ...search, q: name })}
              onEntity={(id) => go({ ...search, entity: id })}
              onClose={() => go({ ...search, entry: undefined })}
            />
          ) : undefined
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
          activeId={chosen === undefined ? undefined : String(chosen)}
          onOpen={(row) => go({ ...search, entry: row.seq })}
          hasMore={log.hasNextPage && !log.isFetchingNextPage}
          loadMore={log.fetchNextPage}
          total={log.data?.total}
          onTop={tail.setAtTop}
          scrollerRef={list}
          empty={
            <Empty
              icon={<ScrollText aria-hidden />}
              title={t(q || action || entity ? "audit.noMatch" : "audit.none")}
            >
              {t("audit.noneText")}
            </Empty>
          }
        />
      </WithPanel>
    </>
  );
}

/** The chosen entry stays open when the list is read anew without it. */
function useChosen(rows: readonly AuditEntry[], seq: number | undefined): AuditEntry | undefined {
  const [kept, setKept] = useState<AuditEntry>();
  const found = rows.find((row) => row.seq === seq);
  if (found && found.seq !== kept?.seq) setKept(found);
  return found ?? (kept?.seq === seq ? kept : undefined);
}

function LiveSwitch({ on, onChange }: { on: boolean; onChange: (on: boolean) => void }) {
  const { t } = useTranslation();
  return (
    <Button aria-pressed={on} title={t(on ? "audit.liveOn" : "audit.liveOff")} onClick={() => onChange(!on)}>
      <span aria-hidden className={cx("size-2 rounded-full", on ? "bg-up" : "border border-unknown")} />
      {t("audit.live")}
    </Button>
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
      },
      {
        id: "actor",
        header: t("audit.actor"),
        className: "w-[18%] @max-xl:w-24",
        cell: (row) => row.actor.name,
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
      },
      {
        id: "at",
        header: t("audit.at"),
        className: "w-28 text-muted",
        cell: (row) => <Time at={row.at} />,
      },
      {
        id: "hash",
        header: t("audit.hash"),
        className: "w-32 @max-5xl:hidden",
        cell: (row) => <span className="mono text-muted">{row.hash.slice(0, 12)}</span>,
      },
    ],
    [t],
  );
}
