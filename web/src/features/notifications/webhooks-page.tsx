/** Who is told over HTTP when something happens here: the webhooks, how each fares, and what it was sent. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Webhook as WebhookIcon } from "lucide-react";
import { useMemo, useState } from "react";
import type { Webhook } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/notifications.json";
import webhookWords from "#/i18n/en/webhooks.json";
import type { Column } from "#/ui/data-table";
import { Time, widestTime } from "#/ui/time";
import { useEventsText } from "./events-field";
import { useFollow } from "./follow";
import { HealthBadge } from "./health-badge";
import { ListPage, listed, type PageProps } from "./list-page";
import { webhooksKey, webhooksQuery } from "./queries";
import { SecretDialog } from "./secret-dialog";
import { NewWebhookPanel, WebhookPanel } from "./webhook-panel";

addWords(words);
addWords(webhookWords);

export function WebhooksPage({ search, go }: PageProps) {
  const { t } = useTranslation();
  // Held here only, and only until it was seen: an answer shows a secret once.
  const [fresh, setFresh] = useState<Webhook | null>(null);
  useFollow(webhooksKey, "subscriber");
  const list = useInfiniteQuery(webhooksQuery(...listed(search)));
  const columns = useColumns();
  return (
    <>
      <ListPage
        table="webhooks"
        search={search}
        go={go}
        list={list}
        columns={columns}
        icon={<WebhookIcon aria-hidden />}
        words={{
          title: t("webhook.title"),
          add: t("webhook.add"),
          search: t("webhook.search"),
          none: t("webhook.none"),
          noneText: t("webhook.noneText"),
          noMatch: t("webhook.noMatch"),
        }}
        adding={(close, made) => (
          <NewWebhookPanel
            onClose={close}
            onMade={(webhook) => {
              setFresh(webhook);
              made(webhook.id);
            }}
          />
        )}
        selected={(id, close) => <WebhookPanel key={id} id={id} onClose={close} onSecret={setFresh} />}
      />
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
  const eventsText = useEventsText();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("notification.name"),
        sortable: true,
        width: { min: 132, max: 360, text: (row) => row.name },
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "health",
        header: t("notification.state"),
        width: { min: 120, max: 160 },
        cell: (row) => <HealthBadge subscriber={row} />,
      },
      {
        id: "url",
        header: t("webhook.where"),
        width: { min: 160, max: 640, mono: true, rank: 2, text: (row) => row.url },
        cell: (row) => <span className="mono truncate text-muted">{row.url}</span>,
      },
      {
        id: "events",
        header: t("notification.events"),
        className: "text-muted",
        width: { min: 112, max: 280, rank: 3, text: (row) => eventsText(row.events) },
        cell: (row) => eventsText(row.events),
      },
      {
        id: "last_delivered_at",
        header: t("notification.lastDelivered"),
        className: "text-muted",
        width: { min: 104, max: 140, rank: 1, text: widestTime },
        cell: (row) => <Time at={row.last_delivered_at} />,
      },
      {
        id: "created_at",
        header: t("notification.created"),
        sortable: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 4, text: widestTime },
        cell: (row) => <Time at={row.created_at} />,
      },
    ],
    [t, eventsText],
  );
}
