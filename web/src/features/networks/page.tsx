import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { EthernetPort, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import { networksQuery } from "#/api/queries";
import type { Network } from "#/api/schema";
import { useAuth } from "#/api/session";
import { isCidr, isIp } from "#/domain/address";
import { placeErrors } from "#/domain/form-errors";
import { useHidden, useRemoval } from "#/domain/removal";
import { z } from "#/domain/zod";
import { addWords, isKey, useTranslation } from "#/i18n";
import words from "#/i18n/en/inventory.json";
import { Button, buttonClass } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty, ErrorBox } from "#/ui/feedback";
import { TextArea, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { useLeave } from "#/ui/guard";
import { PageHead, WithPanel } from "#/ui/page";
import { Panel } from "#/ui/panel";

addWords(words);

export interface NetworksSearch {
  sort?: string;
  selected?: string;
}

export function NetworksPage({ search, go }: { search: NetworksSearch; go: (next: NetworksSearch) => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const networks = useQuery(networksQuery);
  const hidden = useHidden();
  const rows = useMemo(
    () => (networks.data ?? []).filter((row) => !hidden.has(row.id)),
    [networks.data, hidden],
  );
  const columns = useColumns();
  const selected = rows.find((row) => row.id === search.selected);
  const close = () => go({ ...search, selected: undefined });
  const add = can("inventory:write") ? (
    <Button look="primary" onClick={() => go({ ...search, selected: "new" })}>
      <Plus aria-hidden className="size-4" />
      {t("networks.add")}
    </Button>
  ) : null;
  return (
    <>
      <PageHead title={t("pages.networks")} count={networks.data ? rows.length.toLocaleString() : undefined}>
        {add}
      </PageHead>
      <WithPanel
        panel={
          search.selected === "new" && can("inventory:write") ? (
            <NetworkPanel key="new" onClose={close} />
          ) : selected ? (
            <NetworkPanel key={`${selected.id} ${selected.version}`} network={selected} onClose={close} />
          ) : undefined
        }
      >
        <DataTable
          label={t("pages.networks")}
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.name}
          loading={networks.isPending}
          error={networks.error}
          retry={() => void networks.refetch()}
          sort={search.sort ?? "cidr"}
          onSort={(sort) => go({ ...search, sort: sort || undefined })}
          activeId={search.selected}
          onOpen={(row) => go({ ...search, selected: row.id })}
          total={rows.length}
          empty={
            <Empty icon={<EthernetPort aria-hidden />} title={t("networks.none")} action={add}>
              {t("networks.noneText")}
            </Empty>
          }
        />
      </WithPanel>
    </>
  );
}

const schema = z.object({
  name: z.string().trim().min(1, "form.required").max(200, "form.tooLong"),
  cidr: z.string().trim().refine(isCidr, "form.cidr"),
  vlan: z
    .string()
    .trim()
    .refine(
      (text) => text === "" || (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 4094),
      "form.vlan",
    ),
  gateway: z
    .string()
    .trim()
    .refine((text) => text === "" || isIp(text), "form.ip"),
  notes: z.string(),
});
const fields = ["name", "cidr", "vlan", "gateway", "notes"] as const;

function NetworkPanel({ network, onClose }: { network?: Network; onClose: () => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const remove = useRemoval();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: {
      name: network?.name ?? "",
      cidr: network?.cidr ?? "",
      vlan: network?.vlan?.toString() ?? "",
      gateway: network?.gateway ?? "",
      notes: network?.notes ?? "",
    },
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  const message = (field: (typeof fields)[number]) => {
    const text = errors[field]?.message;
    return text && isKey(text) ? t(text) : text;
  };
  const writes = can("inventory:write");
  const leave = useLeave();

  const submit = form.handleSubmit(async (values) => {
    setError(null);
    const body = {
      ...values,
      vlan: values.vlan ? Number(values.vlan) : null,
      gateway: values.gateway || null,
    };
    try {
      if (network) {
        await take(
          http.PATCH("/api/v1/networks/{id}", {
            params: { path: { id: network.id } },
            headers: ifMatch(network.version),
            body,
          }),
        );
      } else {
        await take(http.POST("/api/v1/networks", { body }));
      }
      await client.invalidateQueries({ queryKey: networksQuery.queryKey });
      onClose();
    } catch (problem) {
      setError(placeErrors(problem, fields, form.setError));
    }
  });

  return (
    <Panel
      title={network?.name ?? t("networks.add")}
      subtitle={network ? t("networks.addresses", { count: network.address_count }) : undefined}
      onClose={onClose}
      footer={
        writes ? (
          <>
            <Button look="primary" type="submit" form="network-form" busy={isSubmitting}>
              {t("common.save")}
            </Button>
            <Cancel onClick={onClose} />
            {network ? (
              <Button
                look="danger"
                className="ml-auto"
                onClick={() =>
                  leave(() => {
                    remove({
                      ids: [network.id],
                      text: t("common.deleted", { name: network.name }),
                      resource: "networks",
                      send: (id) => http.DELETE("/api/v1/networks/{id}", { params: { path: { id } } }),
                      invalidate: [networksQuery.queryKey, ["map"]],
                    });
                    onClose();
                  })
                }
              >
                <Trash2 aria-hidden className="size-4" />
                {t("common.delete")}
              </Button>
            ) : null}
          </>
        ) : undefined
      }
    >
      <Form changed={isDirty} id="network-form" onSubmit={submit}>
        <fieldset disabled={!writes} className="flex flex-col gap-4">
          <legend className="sr-only">{t("networks.fields")}</legend>
          {error ? <ErrorBox error={error} /> : null}
          <TextField
            label={t("networks.name")}
            autoFocus={!network}
            error={message("name")}
            {...form.register("name")}
          />
          <TextField
            label={t("networks.cidr")}
            mono
            placeholder="192.168.1.0/24"
            error={message("cidr")}
            {...form.register("cidr")}
          />
          <div className="grid grid-cols-2 gap-3">
            <TextField
              label={t("networks.vlan")}
              inputMode="numeric"
              error={message("vlan")}
              {...form.register("vlan")}
            />
            <TextField
              label={t("networks.gateway")}
              mono
              error={message("gateway")}
              {...form.register("gateway")}
            />
          </div>
          <TextArea
            label={t("networks.notes")}
            rows={4}
            error={message("notes")}
            {...form.register("notes")}
          />
        </fieldset>
      </Form>
      {network ? (
        <Link to="/inventory" search={{ network: network.id }} className={buttonClass("plain", "mt-4")}>
          {t("networks.show")}
        </Link>
      ) : null}
    </Panel>
  );
}

function useColumns(): Column<Network>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("networks.name"),
        sortBy: (row) => row.name,
        width: { min: 112, max: 400, text: (row) => row.name },
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "cidr",
        header: t("networks.cidr"),
        sortBy: (row) => row.cidr,
        width: { min: 124, max: 340, extra: 16, text: (row) => row.cidr },
        cell: (row) => <span className="mono">{row.cidr}</span>,
      },
      {
        id: "vlan",
        header: t("networks.vlan"),
        sortBy: (row) => row.vlan,
        width: { min: 72, max: 96, rank: 2 },
        cell: (row) => row.vlan ?? <span className="text-faint">–</span>,
      },
      {
        id: "gateway",
        header: t("networks.gateway"),
        sortBy: (row) => row.gateway,
        width: { min: 120, max: 340, extra: 16, text: (row) => row.gateway ?? "", rank: 3 },
        cell: (row) => <span className="mono">{row.gateway ?? <span className="text-faint">–</span>}</span>,
      },
      {
        id: "count",
        header: t("networks.count"),
        sortBy: (row) => row.address_count,
        descendingFirst: true,
        className: "text-right [&_button]:ml-auto",
        width: { min: 104, max: 128 },
        cell: (row) => row.address_count.toLocaleString(),
      },
      {
        id: "source",
        header: t("asset.source"),
        sortBy: (row) => t(`source.${row.source}`),
        className: "pl-6! text-muted",
        width: { min: 128, max: 200, text: (row) => t(`source.${row.source}`), rank: 4 },
        cell: (row) => t(`source.${row.source}`),
      },
    ],
    [t],
  );
}
