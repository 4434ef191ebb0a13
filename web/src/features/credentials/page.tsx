/** What devices and services ask for: the credentials, where each may be sent, and what uses it. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { useCallback, useMemo } from "react";
import type { Credential, CredentialKindDescription } from "#/api/schema";
import { useAuth } from "#/api/session";
import { VaultTabs } from "#/domain/vault-tabs";
import { useViews } from "#/domain/views/use-views";
import { addWords, counted, useTranslation } from "#/i18n";
import words from "#/i18n/en/credentials.json";
import { Button } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { PageHead, TableBar, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { Time, widestTime } from "#/ui/time";
import { CredentialPanel, NewCredentialPanel } from "./credential-panel";
import { kindOf } from "./fields";
import { credentialsQuery, kindsQuery } from "./queries";

addWords(words);

export interface CredentialsSearch {
  q?: string;
  sort?: string;
  view?: string;
  selected?: string;
  panel?: "new";
}

interface Props {
  search: CredentialsSearch;
  go: (next: CredentialsSearch) => void;
}

export function CredentialsPage({ search, go }: Props) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const q = search.q ?? "";
  const sort = search.sort ?? "name";
  const credentials = useInfiniteQuery(credentialsQuery(q, sort));
  const kinds = useQuery(kindsQuery);
  const rows = credentials.data?.items ?? [];
  const { columns, dense, menu } = useViews(
    "credentials",
    useColumns(kinds.data),
    { q: search.q, sort: search.sort, view: search.view },
    (next) => go(next as CredentialsSearch),
  );
  const writes = can("credentials:write");
  const close = () => go({ ...search, selected: undefined, panel: undefined });
  const setQ = useCallback((text: string) => go({ ...search, q: text || undefined }), [go, search]);
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...search, selected: undefined, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {t("credential.add")}
    </Button>
  ) : null;
  const any = rows.length > 0 || q !== "";
  return (
    <>
      <PageHead title={t("credential.title")} count={counted(credentials.data?.total)}>
        {any ? add : null}
      </PageHead>
      <VaultTabs />
      <WithPanel
        panel={
          writes && search.panel === "new" ? (
            <NewCredentialPanel
              onClose={close}
              onSaved={({ id }) => go({ ...search, panel: undefined, selected: id })}
            />
          ) : search.selected ? (
            <CredentialPanel key={search.selected} id={search.selected} onClose={close} />
          ) : undefined
        }
      >
        {any ? (
          <TableBar>
            <SearchBox label={t("credential.search")} className="max-w-sm flex-1" value={q} onChange={setQ} />
            {menu}
          </TableBar>
        ) : null}
        <DataTable
          label={t("credential.title")}
          columns={columns}
          dense={dense}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={credentials.isPending}
          error={credentials.error}
          retry={() => void credentials.refetch()}
          sort={sort}
          onSort={(next) => go({ ...search, sort: next || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, panel: undefined, selected: row.id })}
          hasMore={credentials.hasNextPage && !credentials.isFetchingNextPage}
          loadMore={credentials.fetchNextPage}
          total={credentials.data?.total}
          empty={
            q ? (
              <Empty
                icon={<KeyRound aria-hidden />}
                title={t("credential.noMatch")}
                action={<Button onClick={() => setQ("")}>{t("table.clearFilter")}</Button>}
              />
            ) : (
              <Empty icon={<KeyRound aria-hidden />} title={t("credential.none")} action={add}>
                {t("credential.noneText")}
              </Empty>
            )
          }
        />
      </WithPanel>
    </>
  );
}

function useColumns(kinds: CredentialKindDescription[] = []): Column<Credential>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("credential.name"),
        sortable: true,
        width: { min: 132, max: 360, text: (row) => row.name },
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "kind",
        header: t("credential.kind"),
        sortable: true,
        width: { min: 96, max: 240, rank: 1, text: (row) => kindOf(kinds, row.kind)?.title ?? row.kind },
        cell: (row) => <span className="truncate">{kindOf(kinds, row.kind)?.title ?? row.kind}</span>,
      },
      {
        id: "hosts",
        header: t("credential.hosts"),
        width: { min: 112, max: 480, mono: true, rank: 2, text: (row) => row.hosts.join(", ") },
        cell: (row) => <span className="mono truncate text-muted">{row.hosts.join(", ")}</span>,
      },
      {
        id: "used_by",
        header: t("credential.usedBy"),
        width: { min: 96, max: 320, rank: 5, text: (row) => row.used_by.map((user) => user.name).join(", ") },
        cell: (row) => (
          <span className="truncate text-muted">
            {row.used_by.map((user) => user.name).join(", ") || "–"}
          </span>
        ),
      },
      {
        id: "last_used_at",
        header: t("credential.lastUsed"),
        sortable: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 3, text: widestTime },
        cell: (row) => <Time at={row.last_used_at} />,
      },
      {
        id: "secret_changed_at",
        header: t("credential.secretAge"),
        sortable: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 4, text: widestTime },
        cell: (row) => <Time at={row.has_secret ? row.secret_changed_at : null} />,
      },
    ],
    [t, kinds],
  );
}
