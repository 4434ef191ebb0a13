/** Where other systems tell us something: the hooks, how each fares, and what it has taken. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Inbox, Plus } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import type { Hook } from "#/api/schema";
import { useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import hookWords from "#/i18n/en/hooks.json";
import words from "#/i18n/en/notifications.json";
import { Button } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time } from "#/ui/time";
import { HookBadge } from "./hook-badge";
import { HookPanel, NewHookPanel } from "./hook-panel";
import { hooksQuery, LATER_MS } from "./queries";
import { SecretDialog } from "./secret-dialog";
import { Tabs } from "./tabs";

addWords(words);
addWords(hookWords);

export interface HooksSearch {
  q?: string;
  sort?: string;
  selected?: string;
  panel?: "new";
}

interface Props {
  search: HooksSearch;
  go: (next: HooksSearch) => void;
}

export function HooksPage({ search, go }: Props) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const q = search.q ?? "";
  const sort = search.sort ?? "name";
  const hooks = useInfiniteQuery({ ...hooksQuery(q, sort), refetchInterval: LATER_MS });
  // Held here only, and only until it was seen: an answer shows a secret once.
  const [fresh, setFresh] = useState<Hook | null>(null);
  const rows = hooks.data?.items ?? [];
  const columns = useColumns();
  const writes = can("notifications:write");
  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {t("hook.add")}
    </Button>
  ) : null;
  const any = rows.length > 0 || q !== "";
  return (
    <>
      <PageHead title={t("pages.notifications")} count={hooks.data?.total?.toLocaleString()}>
        {any ? add : null}
      </PageHead>
      <Tabs />
      <WithPanel
        panel={
          writes && search.panel === "new" ? (
            <NewHookPanel
              onClose={close}
              onMade={(made) => {
                setFresh(made);
                go({ ...search, panel: undefined, selected: made.id });
              }}
            />
          ) : search.selected ? (
            <HookPanel key={search.selected} id={search.selected} onClose={close} onSecret={setFresh} />
          ) : undefined
        }
      >
        {any ? (
          <div className="border-b border-line px-4 py-2">
            <SearchBox label={t("hook.search")} className="max-w-sm" value={q} onChange={setQ} />
          </div>
        ) : null}
        <DataTable
          label={t("hook.title")}
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={hooks.isPending}
          error={hooks.error}
          retry={() => void hooks.refetch()}
          sort={sort}
          onSort={(next) => go({ ...search, sort: next || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
          hasMore={hooks.hasNextPage && !hooks.isFetchingNextPage}
          loadMore={hooks.fetchNextPage}
          total={hooks.data?.total}
          empty={
            q ? (
              <Empty icon={<Inbox aria-hidden />} title={t("hook.noMatch")} />
            ) : (
              <Empty icon={<Inbox aria-hidden />} title={t("hook.none")} action={add}>
                {t("hook.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
      {fresh?.secret ? (
        <SecretDialog
          name={fresh.name}
          secret={fresh.secret}
          help={t(`hook.verify.${fresh.verification}`)}
          onClose={() => setFresh(null)}
        />
      ) : null}
    </>
  );
}

function useColumns(): Column<Hook>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("notification.name"),
        sortable: true,
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "health",
        header: t("notification.state"),
        className: "w-36",
        cell: (row) => <HookBadge hook={row} />,
      },
      {
        id: "format",
        header: t("hook.format"),
        className: "w-44 text-muted @max-2xl:hidden",
        cell: (row) => t(`hook.formats.${row.format}`),
      },
      {
        id: "received",
        header: t("hook.received"),
        className: "w-28 text-muted @max-3xl:hidden",
        cell: (row) => row.received.toLocaleString(),
      },
      {
        id: "refused",
        header: t("hook.refused"),
        className: "w-28 text-muted @max-3xl:hidden",
        cell: (row) => row.refused.toLocaleString(),
      },
      {
        id: "last_received_at",
        header: t("hook.last"),
        className: "w-32 text-muted @max-4xl:hidden",
        cell: (row) => <Time at={row.last_received_at} />,
      },
      {
        id: "created_at",
        header: t("notification.created"),
        sortable: true,
        className: "w-28 text-muted @max-5xl:hidden",
        cell: (row) => <Time at={row.created_at} />,
      },
    ],
    [t],
  );
}
