import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Plus, Users } from "lucide-react";
import { useCallback, useMemo } from "react";
import type { User } from "#/api/schema";
import { useAuth } from "#/api/session";
import { useViews } from "#/domain/views/use-views";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/users.json";
import { Button } from "#/ui/button";
import { cx } from "#/ui/cx";
import { type Column, DataTable } from "#/ui/data-table";
import { Badge, Empty } from "#/ui/feedback";
import { PageHead, TableBar, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time, widestTime } from "#/ui/time";
import { InvitePanel } from "./invite-form";
import { Invites } from "./invites";
import { invitesQuery, usersQuery } from "./queries";
import { NewUserPanel } from "./user-form";
import { UserPanel } from "./user-panel";

addWords(words);

export interface UsersSearch {
  q?: string;
  sort?: string;
  view?: string;
  tab?: "invites";
  selected?: string;
  panel?: "new" | "invite";
}

const tabs = ["users", "invites"] as const;

export function UsersPage({ search, go }: { search: UsersSearch; go: (next: UsersSearch) => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const tab = search.tab ?? "users";
  const invites = useQuery(invitesQuery);
  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const writes = can("users:write");
  return (
    <>
      <PageHead title={t("pages.users")}>
        <div
          role="tablist"
          aria-label={t("pages.users")}
          className="flex gap-1 rounded-md bg-sunken p-0.5 max-md:flex-1"
        >
          {tabs.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-controls="users-tab"
              aria-selected={tab === name}
              onClick={() => go(name === "invites" ? { tab: "invites" } : {})}
              className={cx(
                "h-7 rounded px-2.5 max-md:h-9 max-md:flex-1 max-md:px-1",
                tab === name ? "bg-raised font-medium text-ink shadow-sm" : "text-muted hover:text-ink",
              )}
            >
              {t(`users.tab.${name}`)}
              {name === "invites" && invites.data?.length ? ` (${invites.data.length})` : null}
            </button>
          ))}
        </div>
        {writes ? (
          <div className="flex gap-2">
            <Button onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
              <Plus aria-hidden className="size-4" />
              <span className="max-md:sr-only">{t("users.add")}</span>
            </Button>
            <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "invite" })}>
              {t("users.invite")}
            </Button>
          </div>
        ) : null}
      </PageHead>
      <WithPanel
        panel={
          writes && search.panel === "invite" ? (
            <InvitePanel onClose={close} />
          ) : writes && search.panel === "new" ? (
            <NewUserPanel onClose={close} onMade={(id) => go({ selected: id })} />
          ) : search.selected ? (
            <UserPanel key={search.selected} id={search.selected} onClose={close} />
          ) : undefined
        }
      >
        <div
          role="tabpanel"
          id="users-tab"
          aria-labelledby={`tab-${tab}`}
          className="flex min-h-0 flex-1 flex-col"
        >
          {tab === "invites" ? <Invites /> : <UserTable search={search} go={go} />}
        </div>
      </WithPanel>
    </>
  );
}

function UserTable({ search, go }: { search: UsersSearch; go: (next: UsersSearch) => void }) {
  const { t } = useTranslation();
  const q = search.q ?? "";
  const sort = search.sort ?? "username";
  const users = useInfiniteQuery(usersQuery(q, sort));
  const rows = users.data?.items ?? [];
  const { columns, dense, menu } = useViews(
    "users",
    useColumns(),
    { q: search.q, sort: search.sort, view: search.view },
    (next) => go(next as UsersSearch),
  );
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  return (
    <>
      <TableBar>
        <SearchBox label={t("users.search")} className="max-w-sm flex-1" value={q} onChange={setQ} />
        {menu}
      </TableBar>
      <DataTable
        label={t("pages.users")}
        columns={columns}
        dense={dense}
        rows={rows}
        rowId={(row) => row.id}
        rowLabel={(row) => row.username}
        loading={users.isPending}
        error={users.error}
        retry={() => void users.refetch()}
        sort={sort}
        onSort={(next) => go({ ...search, sort: next || undefined })}
        activeId={search.selected}
        onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
        hasMore={users.hasNextPage && !users.isFetchingNextPage}
        loadMore={users.fetchNextPage}
        total={users.data?.total}
        empty={
          <Empty
            icon={<Users aria-hidden />}
            title={t("users.noMatch")}
            action={<Button onClick={() => setQ("")}>{t("table.clearFilter")}</Button>}
          />
        }
      />
    </>
  );
}

function useColumns(): Column<User>[] {
  const { t } = useTranslation();
  const { me } = useAuth();
  return useMemo(
    () => [
      {
        id: "username",
        header: t("auth.username"),
        sortable: true,
        width: { min: 128, max: 400, extra: 44, text: (row) => row.username },
        cell: (row) => (
          <>
            <span className={cx("truncate", row.disabled && "text-muted line-through")}>{row.username}</span>
            {row.id === me.user.id ? <Badge tone="accent">{t("users.you")}</Badge> : null}
          </>
        ),
      },
      {
        id: "role",
        header: t("users.role"),
        sortable: true,
        width: { min: 96, max: 180, text: (row) => t(`roles.${row.role}`) },
        cell: (row) => t(`roles.${row.role}`),
      },
      {
        id: "status",
        header: t("users.status"),
        width: {
          min: 88,
          max: 140,
          extra: 16,
          text: (row) => t(row.disabled ? "users.disabled" : "users.active"),
        },
        cell: (row) =>
          row.disabled ? (
            <Badge tone="down">{t("users.disabled")}</Badge>
          ) : (
            <span className="text-muted">{t("users.active")}</span>
          ),
      },
      {
        id: "second_factor",
        header: t("users.secondFactor"),
        width: {
          min: 112,
          max: 160,
          rank: 5,
          extra: 16,
          text: (row) => t(row.second_factor ? "users.on" : "users.off"),
        },
        cell: (row) =>
          row.second_factor ? (
            <Badge tone="up">{t("users.on")}</Badge>
          ) : (
            <span className="text-muted">{t("users.off")}</span>
          ),
      },
      {
        id: "last_login_at",
        header: t("users.lastLogin"),
        sortable: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 4, text: widestTime },
        cell: (row) => <Time at={row.last_login_at} />,
      },
    ],
    [t, me.user.id],
  );
}
