/** The frame of the three pages: tabs, search, a list that goes on by itself, and the panel of what is selected or new. */
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type ReactNode, useCallback } from "react";
import type { ViewList } from "#/api/schema";
import { useAuth } from "#/api/session";
import { useViews } from "#/domain/views/use-views";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { PageHead, TableBar, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Tabs } from "./tabs";

export interface ListSearch {
  q?: string;
  sort?: string;
  view?: string;
  selected?: string;
  panel?: "new";
}

/** What a page gets of its address. */
export interface PageProps {
  search: ListSearch;
  go: (next: ListSearch) => void;
}

interface Words {
  title: string;
  add: string;
  search: string;
  none: string;
  noneText: string;
  noMatch: string;
}

interface Props<T> extends PageProps {
  table: ViewList;
  words: Words;
  icon: ReactNode;
  list: UseInfiniteQueryResult<{ items: T[]; total: number | null }>;
  columns: Column<T>[];
  /** The panel of a new one; `made` shows it. */
  adding: (close: () => void, made: (id: string) => void) => ReactNode;
  selected: (id: string, close: () => void) => ReactNode;
}

export const listed = ({ q = "", sort = "name" }: ListSearch) => [q, sort] as const;

export function ListPage<T extends { id: string; name: string }>(props: Props<T>) {
  const { search, go, words, icon, list, table } = props;
  const { t } = useTranslation();
  const { can } = useAuth();
  const [q, sort] = listed(search);
  const rows = list.data?.items ?? [];
  const writes = can("notifications:write");
  const { columns, dense, menu } = useViews(
    table,
    props.columns,
    { q: search.q, sort: search.sort, view: search.view },
    (next) => go(next as ListSearch),
  );
  const select = (id?: string) => go({ ...search, panel: undefined, selected: id });
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {words.add}
    </Button>
  ) : null;
  const any = rows.length > 0 || q !== "";
  return (
    <>
      <PageHead title={t("pages.notifications")} count={counted(list.data?.total)}>
        {any ? add : null}
      </PageHead>
      <Tabs />
      <WithPanel
        panel={
          writes && search.panel === "new"
            ? props.adding(() => select(), select)
            : search.selected
              ? props.selected(search.selected, () => select())
              : undefined
        }
      >
        {any ? (
          <TableBar>
            <SearchBox label={words.search} className="max-w-sm flex-1" value={q} onChange={setQ} />
            {menu}
          </TableBar>
        ) : null}
        <DataTable
          label={words.title}
          columns={columns}
          dense={dense}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={list.isPending}
          error={list.error}
          retry={() => void list.refetch()}
          sort={sort}
          onSort={(next) => go({ ...search, sort: next || undefined })}
          activeId={search.selected}
          onOpen={(row) => select(row.id)}
          hasMore={list.hasNextPage && !list.isFetchingNextPage}
          loadMore={list.fetchNextPage}
          total={list.data?.total}
          empty={
            q ? (
              <Empty
                icon={icon}
                title={words.noMatch}
                action={<Button onClick={() => setQ("")}>{t("table.clearFilter")}</Button>}
              />
            ) : (
              <Empty icon={icon} title={words.none} action={add}>
                {words.noneText}
              </Empty>
            )
          }
        />
      </WithPanel>
    </>
  );
}
