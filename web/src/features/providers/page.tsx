/** Where users may sign in elsewhere: OpenID Connect providers. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, LogIn, Plus } from "lucide-react";
import { useMemo } from "react";
import type { OidcProvider } from "#/api/schema";
import { useAuth } from "#/api/session";
import { Gone } from "#/domain/gone";
import { useViews } from "#/domain/views/use-views";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/providers.json";
import { Button, buttonClass } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Badge, Empty } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { ProviderPanel } from "./provider-panel";
import { providersQuery } from "./queries";

addWords(words);

export interface ProvidersSearch {
  sort?: string;
  view?: string;
  selected?: string;
  panel?: "new";
}

export function ProvidersPage({
  search,
  go,
}: {
  search: ProvidersSearch;
  go: (next: ProvidersSearch) => void;
}) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const providers = useQuery(providersQuery);
  const shown = { sort: search.sort, view: search.view };
  const { columns, dense, menu } = useViews("providers", useColumns(), shown, (next) =>
    go(next as ProvidersSearch),
  );
  const rows = providers.data ?? [];
  const writes = can("users:write");
  const chosen = rows.find(({ id }) => id === search.selected);
  const adding = writes && search.panel === "new";
  const add = writes ? (
    <Button look="primary" onClick={() => go({ ...shown, panel: "new" })}>
      <Plus aria-hidden className="size-4" />
      {t("provider.add")}
    </Button>
  ) : null;
  return (
    <>
      <PageHead title={t("provider.title")} count={providers.data?.length}>
        <Link to="/settings" className={buttonClass("ghost")}>
          <ArrowLeft aria-hidden className="size-4" />
          {t("pages.settings")}
        </Link>
        {rows.length > 0 ? menu : null}
        {rows.length > 0 ? add : null}
      </PageHead>
      <WithPanel
        panel={
          adding || chosen ? (
            <ProviderPanel
              key={adding ? "new" : chosen?.id}
              provider={adding ? undefined : chosen}
              writes={writes}
              onClose={() => go(shown)}
              onSaved={({ id }) => go({ ...shown, selected: id })}
            />
          ) : search.selected && providers.isSuccess ? (
            <Gone kind="provider" id={search.selected} onClose={() => go(shown)} />
          ) : undefined
        }
      >
        <DataTable
          label={t("provider.title")}
          columns={columns}
          dense={dense}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={providers.isPending}
          error={providers.error}
          retry={() => void providers.refetch()}
          sort={search.sort ?? "name"}
          onSort={(sort) => go({ ...search, sort: sort || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...shown, selected: row.id })}
          total={rows.length}
          empty={
            <Empty icon={<LogIn aria-hidden />} title={t("provider.none")} action={add}>
              {t("provider.noneText")}
            </Empty>
          }
        />
      </WithPanel>
    </>
  );
}

function useColumns(): Column<OidcProvider>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("provider.name"),
        sortBy: (row) => row.name,
        width: { min: 132, max: 360, text: (row) => row.name },
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "issuer",
        header: t("provider.issuer"),
        sortBy: (row) => row.issuer,
        width: { min: 160, max: 640, mono: true, rank: 1, text: (row) => row.issuer },
        cell: (row) => <span className="mono text-muted">{row.issuer}</span>,
      },
      {
        id: "enabled",
        header: t("provider.status"),
        sortBy: (row) => row.enabled,
        descendingFirst: true,
        width: {
          min: 88,
          max: 140,
          extra: 16,
          text: (row) => t(row.enabled ? "provider.on" : "provider.off"),
        },
        cell: (row) =>
          row.enabled ? <Badge tone="up">{t("provider.on")}</Badge> : <Badge>{t("provider.off")}</Badge>,
      },
    ],
    [t],
  );
}
