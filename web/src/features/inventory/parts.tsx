/** Interfaces and addresses of one asset: shown, added, changed and removed in place. */
import { useQueryClient } from "@tanstack/react-query";
import { Pencil, Plus, Trash2, TriangleAlert } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useForm } from "react-hook-form";
import { ApiError, http } from "#/api/client";
import { assetQuery } from "#/api/queries";
import type { Address, AddressConflict, AssetDetail, Interface } from "#/api/schema";
import { addressOrder, isIp, isMac } from "#/domain/address";
import { AssetLink } from "#/domain/asset-link";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { useHidden, useRemoval } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import { Button, IconButton } from "#/ui/button";
import { SelectField, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { GuardScope, useGuardScope } from "#/ui/guard";
import { Section } from "#/ui/panel";
import { Time } from "#/ui/time";
import { useSaveAddress, useSaveInterface } from "./queries";

const list = "divide-y divide-line border-y border-line";

function RowActions({ name, onEdit, onDelete }: { name: string; onEdit: () => void; onDelete: () => void }) {
  const { t } = useTranslation();
  return (
    <span className="ml-auto flex shrink-0">
      <IconButton className="size-7" label={t("common.editOf", { name })} onClick={onEdit}>
        <Pencil aria-hidden className="size-3.5" />
      </IconButton>
      <IconButton className="size-7" label={t("common.deleteOf", { name })} onClick={onDelete}>
        <Trash2 aria-hidden className="size-3.5" />
      </IconButton>
    </span>
  );
}

function AddButton({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <IconButton label={label} className="size-7" onClick={onClick}>
      <Plus aria-hidden className="size-4" />
    </IconButton>
  );
}

interface AddressesProps {
  asset: AssetDetail;
  writes: boolean;
  onOpen: (id: string) => void;
}

export function Addresses({ asset, writes, onOpen }: AddressesProps) {
  const { t } = useTranslation();
  const hidden = useHidden();
  const remove = useRemoval();
  const [editing, setEditing] = useState<string | null>(null);
  const { path, leave } = useGuardScope();
  const edit = (id: string) => leave(() => setEditing(id));
  const rows = asset.address_list
    .filter((row) => !hidden.has(row.id))
    .sort((a, b) => addressOrder(a.ip, b.ip));
  return (
    <GuardScope path={path}>
      <Section
        title={t("asset.addresses")}
        action={writes ? <AddButton label={t("address.add")} onClick={() => edit("new")} /> : null}
      >
        {editing === "new" ? <AddressForm asset={asset} onDone={() => setEditing(null)} /> : null}
        {rows.length > 0 ? (
          <ul className={list}>
            {rows.map((row) => (
              <li key={row.id} className="flex min-h-9 flex-wrap items-center gap-x-3 py-1">
                {editing === row.id ? (
                  <AddressForm asset={asset} address={row} onDone={() => setEditing(null)} />
                ) : (
                  <>
                    <div className="flex w-full items-center gap-x-3">
                      <div className="flex min-w-0 flex-1 flex-wrap items-center gap-x-3">
                        <span className="mono wrap-anywhere">{row.ip}</span>
                        <span className="max-w-full truncate">{row.hostname}</span>
                        <span className="text-xs text-muted">
                          {row.source === "manual" ? t("source.manual") : <Time at={row.last_seen_at} />}
                        </span>
                      </div>
                      {writes ? (
                        <RowActions
                          name={row.ip}
                          onEdit={() => edit(row.id)}
                          onDelete={() =>
                            remove({
                              ids: [row.id],
                              text: t("common.deleted", { name: row.ip }),
                              resource: "addresses",
                              send: (id) =>
                                http.DELETE("/api/v1/addresses/{id}", { params: { path: { id } } }),
                              invalidate: [["assets"], ["networks"]],
                            })
                          }
                        />
                      ) : null}
                    </div>
                    <Shared conflict={asset.conflicts.find((one) => one.ip === row.ip)} onOpen={onOpen} />
                  </>
                )}
              </li>
            ))}
          </ul>
        ) : editing ? null : (
          <p className="text-muted">{t("address.none")}</p>
        )}
      </Section>
    </GuardScope>
  );
}

/** Who else has this address. */
function Shared({ conflict, onOpen }: { conflict?: AddressConflict; onOpen: (id: string) => void }) {
  const { t } = useTranslation();
  const hidden = useHidden();
  const others = conflict?.assets.filter((asset) => !hidden.has(asset.id)) ?? [];
  if (others.length === 0) return null;
  return (
    <p className="flex w-full flex-wrap items-center gap-x-2 pb-1 text-degraded-text">
      <TriangleAlert aria-hidden className="size-3.5 shrink-0" />
      {t("address.also")}
      {others.map((asset) => (
        <AssetLink key={asset.id} asset={asset} onOpen={onOpen} />
      ))}
    </p>
  );
}

const addressToForm = (address?: Address) => ({
  ip: address?.ip ?? "",
  hostname: address?.hostname ?? "",
  interface_id: address?.interface_id ?? "",
});

const nicToForm = (nic?: Interface) => ({ name: nic?.name ?? "", mac: nic?.mac ?? "" });

/** The newest version of a part of an asset. */
function partOf<T extends { id: string }>(parts: readonly T[], { id }: T, gone: string): T {
  const part = parts.find((one) => one.id === id);
  if (!part) throw new ApiError(404, { detail: gone });
  return part;
}

function AddressForm({
  asset,
  address,
  onDone,
}: {
  asset: AssetDetail;
  address?: Address;
  onDone: () => void;
}) {
  const { t } = useTranslation();
  const save = useSaveAddress(asset.id);
  const client = useQueryClient();
  const form = useForm({ defaultValues: addressToForm(address) });
  const { errors, isDirty, isSubmitting } = form.formState;
  const edit = useEdit({
    form,
    of: address,
    read: async (held) => {
      const { address_list } = await client.fetchQuery({ ...assetQuery(asset.id), staleTime: 0 });
      return partOf(address_list, held, t("address.gone"));
    },
    toForm: addressToForm,
    fields: {
      ip: { label: t("address.ip") },
      hostname: { label: t("address.hostname") },
      interface_id: {
        label: t("address.interface"),
        text: ({ interface_id: id }) => asset.interfaces.find((nic) => nic.id === id)?.name ?? id,
      },
    },
    send: (values, held) =>
      save.mutateAsync({
        id: held?.id,
        version: held?.version,
        ip: values.ip.trim(),
        hostname: values.hostname.trim() || null,
        interface_id: values.interface_id || null,
      }),
    done: onDone,
    places: ["ip", "hostname", "interface_id"],
  });
  return (
    <InlineForm
      changed={isDirty}
      onSubmit={edit.submit}
      onCancel={onDone}
      busy={isSubmitting}
      trouble={<EditTrouble edit={edit} />}
    >
      <TextField
        label={t("address.ip")}
        mono
        autoFocus
        error={errors.ip?.message}
        {...form.register("ip", { validate: (value) => isIp(value.trim()) || t("form.ip") })}
      />
      <TextField
        label={t("address.hostname")}
        optional
        error={errors.hostname?.message}
        {...form.register("hostname")}
      />
      {asset.interfaces.length > 0 ? (
        <SelectField
          label={t("address.interface")}
          error={errors.interface_id?.message}
          {...form.register("interface_id")}
        >
          <option value="">–</option>
          {asset.interfaces.map((nic) => (
            <option key={nic.id} value={nic.id}>
              {nic.name} {nic.mac}
            </option>
          ))}
        </SelectField>
      ) : null}
    </InlineForm>
  );
}

export function Interfaces({ asset, writes }: { asset: AssetDetail; writes: boolean }) {
  const { t } = useTranslation();
  const hidden = useHidden();
  const remove = useRemoval();
  const [editing, setEditing] = useState<string | null>(null);
  const { path, leave } = useGuardScope();
  const edit = (id: string) => leave(() => setEditing(id));
  const rows = asset.interfaces.filter((row) => !hidden.has(row.id));
  return (
    <GuardScope path={path}>
      <Section
        title={t("asset.interfaces")}
        action={writes ? <AddButton label={t("interface.add")} onClick={() => edit("new")} /> : null}
      >
        {editing === "new" ? <InterfaceForm assetId={asset.id} onDone={() => setEditing(null)} /> : null}
        {rows.length > 0 ? (
          <ul className={list}>
            {rows.map((row) => (
              <li key={row.id} className="flex min-h-9 flex-wrap items-center gap-x-3 py-1">
                {editing === row.id ? (
                  <InterfaceForm assetId={asset.id} nic={row} onDone={() => setEditing(null)} />
                ) : (
                  <>
                    <span>{row.name}</span>
                    <span className="mono">{row.mac}</span>
                    <span className="min-w-0 truncate text-xs text-muted">{row.vendor}</span>
                    {writes ? (
                      <RowActions
                        name={row.name}
                        onEdit={() => edit(row.id)}
                        onDelete={() =>
                          remove({
                            ids: [row.id],
                            text: t("common.deleted", { name: row.name }),
                            resource: "interfaces",
                            send: (id) =>
                              http.DELETE("/api/v1/interfaces/{id}", { params: { path: { id } } }),
                            invalidate: [["assets"]],
                          })
                        }
                      />
                    ) : null}
                  </>
                )}
              </li>
            ))}
          </ul>
        ) : editing ? null : (
          <p className="text-muted">{t("interface.none")}</p>
        )}
      </Section>
    </GuardScope>
  );
}

function InterfaceForm({ assetId, nic, onDone }: { assetId: string; nic?: Interface; onDone: () => void }) {
  const { t } = useTranslation();
  const save = useSaveInterface(assetId);
  const client = useQueryClient();
  const form = useForm({ defaultValues: nicToForm(nic) });
  const { errors, isDirty, isSubmitting } = form.formState;
  const edit = useEdit({
    form,
    of: nic,
    read: async (held) => {
      const { interfaces } = await client.fetchQuery({ ...assetQuery(assetId), staleTime: 0 });
      return partOf(interfaces, held, t("interface.gone"));
    },
    toForm: nicToForm,
    fields: { name: { label: t("interface.name") }, mac: { label: t("interface.mac") } },
    send: (values, held) =>
      save.mutateAsync({
        id: held?.id,
        version: held?.version,
        name: values.name.trim(),
        mac: values.mac.trim() || null,
      }),
    done: onDone,
    places: ["name", "mac"],
  });
  return (
    <InlineForm
      changed={isDirty}
      onSubmit={edit.submit}
      onCancel={onDone}
      busy={isSubmitting}
      trouble={<EditTrouble edit={edit} />}
    >
      <TextField
        label={t("interface.name")}
        autoFocus
        placeholder="eth0"
        error={errors.name?.message}
        {...form.register("name", { required: t("form.required") })}
      />
      <TextField
        label={t("interface.mac")}
        optional
        mono
        error={errors.mac?.message}
        {...form.register("mac", {
          validate: (value) => value.trim() === "" || isMac(value.trim()) || t("form.mac"),
        })}
      />
    </InlineForm>
  );
}

export function InlineForm({
  changed,
  onSubmit,
  onCancel,
  busy,
  trouble,
  children,
}: {
  changed: boolean;
  onSubmit: () => Promise<unknown>;
  onCancel: () => void;
  busy: boolean;
  /** Why it was not saved. */
  trouble: ReactNode;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  return (
    <Form
      changed={changed}
      onEscape={onCancel}
      className="my-2 flex w-full flex-col gap-3 rounded-md border border-line-strong bg-canvas p-3"
      onSubmit={onSubmit}
    >
      {trouble}
      {children}
      <div className="flex gap-2">
        <Button type="submit" look="primary" busy={busy}>
          {t("common.save")}
        </Button>
        <Cancel onClick={onCancel} />
      </div>
    </Form>
  );
}
