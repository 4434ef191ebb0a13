/** The services by which people are told when something happens here, and how each fares. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Megaphone } from "lucide-react";
import { useMemo } from "react";
import type { Channel, ChannelKindDescription } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import channelWords from "#/i18n/en/channels.json";
import words from "#/i18n/en/notifications.json";
import type { Column } from "#/ui/data-table";
import { Time, widestTime } from "#/ui/time";
import { ChannelPanel, NewChannelPanel } from "./channel-panel";
import { useEventsText } from "./events-field";
import { useFollow } from "./follow";
import { HealthBadge } from "./health-badge";
import { ListPage, listed, type PageProps } from "./list-page";
import { channelKindsQuery, channelsKey, channelsQuery } from "./queries";

addWords(words);
addWords(channelWords);

export function ChannelsPage({ search, go }: PageProps) {
  const { t } = useTranslation();
  const kinds = useQuery(channelKindsQuery);
  useFollow(channelsKey, "subscriber");
  const list = useInfiniteQuery(channelsQuery(...listed(search)));
  const columns = useColumns(kinds.data);
  return (
    <ListPage
      table="channels"
      search={search}
      go={go}
      list={list}
      columns={columns}
      icon={<Megaphone aria-hidden />}
      words={{
        title: t("channel.title"),
        add: t("channel.add"),
        search: t("channel.search"),
        none: t("channel.none"),
        noneText: t("channel.noneText"),
        noMatch: t("channel.noMatch"),
      }}
      adding={(close, made) => <NewChannelPanel onClose={close} onMade={({ id }) => made(id)} />}
      selected={(id, close) => <ChannelPanel key={id} id={id} onClose={close} />}
    />
  );
}

function useColumns(kinds: ChannelKindDescription[] = []): Column<Channel>[] {
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
        id: "kind",
        header: t("channel.kind"),
        sortable: true,
        className: "text-muted",
        width: {
          min: 88,
          max: 200,
          rank: 1,
          text: (row) => kinds.find(({ kind }) => kind === row.kind)?.title ?? row.kind,
        },
        cell: (row) => kinds.find(({ kind }) => kind === row.kind)?.title ?? row.kind,
      },
      {
        id: "to",
        header: t("channel.where"),
        width: { min: 136, max: 480, mono: true, rank: 3, text: (row) => row.to ?? "" },
        cell: (row) => <span className="mono truncate text-muted">{row.to ?? "–"}</span>,
      },
      {
        id: "events",
        header: t("notification.events"),
        className: "text-muted",
        width: { min: 112, max: 280, rank: 4, text: (row) => eventsText(row.events) },
        cell: (row) => eventsText(row.events),
      },
      {
        id: "min_severity",
        header: t("channel.least"),
        className: "text-muted",
        width: { min: 104, max: 200, rank: 5, text: (row) => t(`notification.severity.${row.min_severity}`) },
        cell: (row) => t(`notification.severity.${row.min_severity}`),
      },
      {
        id: "last_delivered_at",
        header: t("notification.lastDelivered"),
        className: "text-muted",
        width: { min: 104, max: 140, rank: 2, text: widestTime },
        cell: (row) => <Time at={row.last_delivered_at} />,
      },
      {
        id: "created_at",
        header: t("notification.created"),
        sortable: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 6, text: widestTime },
        cell: (row) => <Time at={row.created_at} />,
      },
    ],
    [t, kinds, eventsText],
  );
}
