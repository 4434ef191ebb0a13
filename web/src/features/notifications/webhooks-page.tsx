/** Who is told over HTTP when something happens here: the webhooks, how each fares, and what it was sent. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Plus, Webhook as WebhookIcon } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import type { Webhook } from "#/api/schema";
import { useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/notifications.json";
import webhookWords from "#/i18n/en/webhooks.json";
import { Button } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time } from "#/ui/time";
import { EventsText } from "./events-field";
import { HealthBadge } from "./health-badge";
import { LATER_MS, webhooksQuery } from "./queries";
import { SecretDialog } from "./secret-dialog";
import { Tabs } from "./tabs";
import { NewWebhookPanel, WebhookPanel } from "./webhook-panel";

addWords(words);
addWords(webhookWords);

export interface WebhooksSearch {
  q?: string;
  sort?: string;
  selected?: string;
  panel?: "new";
}

interface Props {
  search: WebhooksSearch;
  go: (next: WebhooksSearch) => void;
}

export function WebhooksPage({ search, go }: Props) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const q = search.q ?? "";
  const sort = search.sort ?? "name";
  const webhooks = useInfiniteQuery({ ...webhooksQuery(q, sort), refetchInterval: LATER_MS });
  // Held here only, and only until it was seen: an answer shows a secret once.
  const [fresh, setFresh] = useState<Webhook | null>(null);
  const rows = webhooks.data?.items ?? [];
  const columns = useColumns();
  const writes = can("notifications:write");
  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {t("webhook.add")}
    </Button>
  ) : null;
  const any = rows.length > 0 || q !== "";
  return (
    <>
      <PageHead title={t("pages.notifications")} count={webhooks.data?.total?.toLocaleString()}>
        {any ? add : null}
      </PageHead>
      <Tabs />
      <WithPanel
        panel={
          writes && search.panel === "new" ? (
            <NewWebhookPanel
              onClose={close}
              onMade={(made) => {
                setFresh(made);
                go({ ...search, panel: undefined, selected: made.id });
              }}
            />
          ) : search.selected ? (
            <WebhookPanel key={search.selected} id={search.selected} onClose={close} onSecret={setFresh} />
          ) : undefined
        }
      >
        {any ? (
          <div className="border-b border-line px-4 py-2">
            <SearchBox label={t("webhook.search")} className="max-w-sm" value={q} onChange={setQ} />
          </div>
        ) : null}
        <DataTable
          label={t("webhook.title")}
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={webhooks.isPending}
          error={webhooks.error}
          retry={() => void webhooks.refetch()}
          sort={sort}
          onSort={(next) => go({ ...search, sort: next || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
          hasMore={webhooks.hasNextPage && !webhooks.isFetchingNextPage}
          loadMore={webhooks.fetchNextPage}
          total={webhooks.data?.total}
          empty={
            q ? (
              <Empty icon={<WebhookIcon aria-hidden />} title={t("webhook.noMatch")} />
            ) : (
              <Empty icon={<WebhookIcon aria-hidden />} title={t("webhook.none")} action={add}>
                {t("webhook.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
      {fresh?.secret ? (
        <SecretDialog
          name={fresh.name}
          secret={fresh.secret}
          help={t("webhook.verify")}
          onClose={() => setFresh(null)}
        />
      ) : null}
    </>
  );
}

function useColumns(): Column<Webhook>[] {
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
        cell: (row) => <HealthBadge subscriber={row} />,
      },
      {
        id: "url",
        header: t("webhook.where"),
        className: "@max-2xl:hidden",
        cell: (row) => <span className="mono truncate text-muted">{row.url}</span>,
      },
      {
        id: "events",
        header: t("notification.events"),
        className: "w-48 text-muted @max-4xl:hidden",
        cell: (row) => <EventsText events={row.events} />,
      },
      {
        id: "last_delivered_at",
        header: t("notification.lastDelivered"),
        className: "w-32 text-muted @max-3xl:hidden",
        cell: (row) => <Time at={row.last_delivered_at} />,
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
