/** Where other systems tell us something: the hooks, how each fares, and what it has taken. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Inbox } from "lucide-react";
import { useMemo, useState } from "react";
import type { Hook } from "#/api/schema";
import { addWords, counted, useTranslation } from "#/i18n";
import hookWords from "#/i18n/en/hooks.json";
import words from "#/i18n/en/notifications.json";
import type { Column } from "#/ui/data-table";
import { Time, widestTime } from "#/ui/time";
import { useFollow } from "./follow";
import { HookBadge } from "./hook-badge";
import { HookPanel, NewHookPanel } from "./hook-panel";
import { ListPage, listed, type PageProps } from "./list-page";
import { hooksKey, hooksQuery } from "./queries";
import { SecretDialog } from "./secret-dialog";

addWords(words);
addWords(hookWords);

export function HooksPage({ search, go }: PageProps) {
  const { t } = useTranslation();
  // Held here only, and only until it was seen: an answer shows a secret once.
  const [fresh, setFresh] = useState<Hook | null>(null);
  useFollow(hooksKey, "hook");
  const list = useInfiniteQuery(hooksQuery(...listed(search)));
  const columns = useColumns();
  return (
    <>
      <ListPage
        table="hooks"
        search={search}
        go={go}
        list={list}
        columns={columns}
        icon={<Inbox aria-hidden />}
        words={{
          title: t("hook.title"),
          add: t("hook.add"),
          search: t("hook.search"),
          none: t("hook.none"),
          noneText: t("hook.noneText"),
          noMatch: t("hook.noMatch"),
        }}
        adding={(close, made) => (
          <NewHookPanel
            onClose={close}
            onMade={(hook) => {
              setFresh(hook);
              made(hook.id);
            }}
          />
        )}
        selected={(id, close) => <HookPanel key={id} id={id} onClose={close} onSecret={setFresh} />}
      />
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
        width: { min: 132, max: 360, text: (row) => row.name },
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "health",
        header: t("notification.state"),
        width: { min: 120, max: 160 },
        cell: (row) => <HookBadge hook={row} />,
      },
      {
        id: "format",
        header: t("hook.format"),
        className: "text-muted",
        width: { min: 112, max: 260, rank: 2, text: (row) => t(`hook.formats.${row.format}`) },
        cell: (row) => t(`hook.formats.${row.format}`),
      },
      {
        id: "received",
        header: t("hook.received"),
        className: "text-muted",
        width: { min: 88, max: 120, rank: 3, text: (row) => counted(row.received) },
        cell: (row) => counted(row.received),
      },
      {
        id: "refused",
        header: t("hook.refused"),
        className: "text-muted",
        width: { min: 80, max: 120, rank: 4, text: (row) => counted(row.refused) },
        cell: (row) => counted(row.refused),
      },
      {
        id: "last_received_at",
        header: t("hook.last"),
        className: "text-muted",
        width: { min: 104, max: 140, rank: 1, text: widestTime },
        cell: (row) => <Time at={row.last_received_at} />,
      },
      {
        id: "created_at",
        header: t("notification.created"),
        sortable: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 5, text: widestTime },
        cell: (row) => <Time at={row.created_at} />,
      },
    ],
    [t],
  );
}
