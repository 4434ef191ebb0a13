/** The services by which people are told when something happens here, and how each fares. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Megaphone, Plus } from "lucide-react";
import { useCallback, useMemo } from "react";
import type { Channel, ChannelKindDescription } from "#/api/schema";
import { useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import channelWords from "#/i18n/en/channels.json";
import words from "#/i18n/en/notifications.json";
import { Button } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time } from "#/ui/time";
import { ChannelPanel, NewChannelPanel } from "./channel-panel";
import { EventsText } from "./events-field";
import { HealthBadge } from "./health-badge";
import { channelKindsQuery, channelsQuery, LATER_MS } from "./queries";
import { Tabs } from "./tabs";

addWords(words);
addWords(channelWords);

export interface ChannelsSearch {
  q?: string;
  sort?: string;
  selected?: string;
  panel?: "new";
}

interface Props {
  search: ChannelsSearch;
  go: (next: ChannelsSearch) => void;
}

export function ChannelsPage({ search, go }: Props) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const q = search.q ?? "";
  const sort = search.sort ?? "name";
  const channels = useInfiniteQuery({ ...channelsQuery(q, sort), refetchInterval: LATER_MS });
  const kinds = useQuery(channelKindsQuery);
  const rows = channels.data?.items ?? [];
  const columns = useColumns(kinds.data);
  const writes = can("notifications:write");
  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {t("channel.add")}
    </Button>
  ) : null;
  const any = rows.length > 0 || q !== "";
  return (
    <>
      <PageHead title={t("pages.notifications")} count={channels.data?.total?.toLocaleString()}>
        {any ? add : null}
      </PageHead>
      <Tabs />
      <WithPanel
        panel={
          writes && search.panel === "new" ? (
            <NewChannelPanel
              onClose={close}
              onMade={({ id }) => go({ ...search, panel: undefined, selected: id })}
            />
          ) : search.selected ? (
            <ChannelPanel key={search.selected} id={search.selected} onClose={close} />
          ) : undefined
        }
      >
        {any ? (
          <div className="border-b border-line px-4 py-2">
            <SearchBox label={t("channel.search")} className="max-w-sm" value={q} onChange={setQ} />
          </div>
        ) : null}
        <DataTable
          label={t("channel.title")}
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={channels.isPending}
          error={channels.error}
          retry={() => void channels.refetch()}
          sort={sort}
          onSort={(next) => go({ ...search, sort: next || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
          hasMore={channels.hasNextPage && !channels.isFetchingNextPage}
          loadMore={channels.fetchNextPage}
          total={channels.data?.total}
          empty={
            q ? (
              <Empty icon={<Megaphone aria-hidden />} title={t("channel.noMatch")} />
            ) : (
              <Empty icon={<Megaphone aria-hidden />} title={t("channel.none")} action={add}>
                {t("channel.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
    </>
  );
}

function useColumns(kinds: ChannelKindDescription[] = []): Column<Channel>[] {
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
        id: "kind",
        header: t("channel.kind"),
        sortable: true,
        className: "w-40 text-muted @max-xl:hidden",
        cell: (row) => kinds.find(({ kind }) => kind === row.kind)?.title ?? row.kind,
      },
      {
        id: "to",
        header: t("channel.where"),
        className: "@max-4xl:hidden",
        cell: (row) => <span className="mono truncate text-muted">{row.to}</span>,
      },
      {
        id: "events",
        header: t("notification.events"),
        className: "text-muted @max-3xl:hidden",
        cell: (row) => <EventsText events={row.events} />,
      },
      {
        id: "min_severity",
        header: t("channel.least"),
        className: "w-44 text-muted @max-4xl:hidden",
        cell: (row) => t(`notification.severity.${row.min_severity}`),
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
        className: "w-28 text-muted @max-7xl:hidden",
        cell: (row) => <Time at={row.created_at} />,
      },
    ],
    [t, kinds],
  );
}
