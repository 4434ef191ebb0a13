import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { assetQuery, tagsQuery } from "#/api/queries";
import type { Asset, AssetKind, AssetStatus } from "#/api/schema";
import { isIp } from "#/domain/address";
import { assetKinds, assetStatuses, roleName } from "#/domain/asset";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { modelName } from "#/domain/product";
import { TagPicker } from "#/domain/tag-picker";
import { atMost, z } from "#/domain/zod";
import { isKey, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Warning } from "#/ui/feedback";
import { SelectField, TextArea, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { Panel } from "#/ui/panel";
import { toast } from "#/ui/toast";
import { type AssetInput, useSaveAsset } from "./queries";
import { RoleField } from "./role-field";

const wordsOf = (text: string) => text.split(/[\s,]+/).filter(Boolean);
const word = z.string().trim().max(200, atMost(200));
const schema = z.object({
  name: word.min(1, "form.required"),
  kind: z.enum(assetKinds as [AssetKind, ...AssetKind[]]),
  role: word,
  vendor: word,
  model: word,
  os: word,
  addresses: z.string().refine((text) => wordsOf(text).every(isIp), "form.ip"),
  status: z.enum(["", ...assetStatuses] as ["", ...AssetStatus[]]),
  notes: z.string().max(65_536, atMost(65_536)),
  tags: z.array(z.string()),
});
const fields = [
  "name",
  "addresses",
  "kind",
  "role",
  "vendor",
  "model",
  "os",
  "status",
  "notes",
  "tags",
] as const;

const toForm = (asset?: Asset) => ({
  name: asset?.name ?? "",
  kind: asset?.kind ?? ("device" as AssetKind),
  role: asset?.role ?? "",
  vendor: asset?.vendor ?? "",
  // As the panel shows it. What is not touched is not sent, so the whole of it stays as long as the vendor does.
  model: asset ? modelName(asset) : "",
  os: asset?.os ?? "",
  // Of a new one only: the panel has a form for each of the others.
  addresses: "",
  status: (asset?.status_set ?? "") as AssetStatus | "",
  notes: asset?.notes ?? "",
  tags: asset?.tags.map((tag) => tag.id) ?? [],
});

interface AssetFormProps {
  asset?: Asset;
  /** It was deleted meanwhile. */
  gone?: boolean;
  onClose: () => void;
  onSaved: (id: string) => void;
}

export function AssetForm({ asset: given, gone, onClose, onSaved }: AssetFormProps) {
  // What it began with: a change by somebody else meanwhile must be refused, not overwritten unseen.
  const [asset] = useState(given);
  const { t } = useTranslation();
  const save = useSaveAsset();
  const client = useQueryClient();
  const known = useQuery(tagsQuery).data;
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: toForm(asset),
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  // "Unknown" says less than what is seen: it is offered only to whoever has it already.
  const settable = assetStatuses.filter(
    (s) => (s !== "unknown" && s !== "not_seen") || asset?.status_set === s,
  );
  const message = (field: (typeof fields)[number]) => {
    const text = errors[field]?.message;
    return text && isKey(text) ? t(text) : text;
  };

  const wrongAddress = wordsOf(form.watch("addresses")).find((one) => !isIp(one));
  const seen = asset?.status_seen ?? "unknown";
  const edit = useEdit({
    form,
    of: asset,
    read: ({ id }): Promise<Asset> => client.fetchQuery({ ...assetQuery(id), staleTime: 0 }),
    toForm,
    fields: {
      name: { label: t("asset.name") },
      kind: { label: t("asset.kind"), text: ({ kind }) => t(`kind.${kind}`) },
      role: { label: t("asset.role"), text: ({ role }) => role && roleName(role) },
      vendor: { label: t("asset.vendor") },
      model: { label: t("asset.model") },
      os: { label: t("asset.os") },
      addresses: { label: t("asset.addresses") },
      status: {
        label: t("asset.status"),
        text: ({ status }) =>
          status ? t(`status.${status}`) : t("asset.statusAsSeen", { status: t(`status.${seen}`) }),
      },
      tags: {
        label: t("asset.tags"),
        text: ({ tags }) => tags.map((id) => known?.find((tag) => tag.id === id)?.name ?? id).join(", "),
      },
      notes: { label: t("asset.notes") },
    },
    send: (values, held, touched) => {
      const full: AssetInput = {
        ...values,
        role: values.role || null,
        vendor: values.vendor || null,
        model: values.model || null,
        os: values.os || null,
        addresses: wordsOf(values.addresses),
        status: values.status || null,
      };
      // Only what was changed is sent: an untouched field must not count as typed by a person. But with another vendor the model
      // is what the form shows: the name of the first vendor, which it may begin with, was taken off.
      const changed = (key: string) =>
        touched(key as keyof AssetInput) ||
        (key === "model" && touched("vendor") && full.model !== (held?.model ?? null));
      const changes = held ? Object.fromEntries(Object.entries(full).filter(([key]) => changed(key))) : full;
      return save.mutateAsync({ asset: held, changes });
    },
    done: (saved) => {
      toast(t(asset ? "asset.saved" : "asset.created", { name: saved.name }));
      onSaved(saved.id);
    },
    places: fields,
  });

  return (
    <Panel
      title={asset ? t("asset.edit", { name: asset.name }) : t("asset.add")}
      onClose={onClose}
      footer={
        <>
          <Button
            look="primary"
            type="submit"
            form="asset-form"
            busy={isSubmitting}
            disabled={gone || (!!asset && !isDirty)}
          >
            {t("common.save")}
          </Button>
          <Cancel onClick={onClose} />
        </>
      }
    >
      <Form changed={isDirty} id="asset-form" onSubmit={edit.submit} className="flex flex-col gap-4">
        {gone ? <Warning>{t("asset.goneWhileEditing")}</Warning> : null}
        <EditTrouble edit={edit} />
        <TextField label={t("asset.name")} autoFocus error={message("name")} {...form.register("name")} />
        {asset ? null : (
          <TextField
            label={t("asset.addresses")}
            optional
            help={t("asset.addressesHelp")}
            mono
            error={
              errors.addresses && wrongAddress
                ? t("asset.notAnAddress", { value: wrongAddress })
                : message("addresses")
            }
            {...form.register("addresses")}
          />
        )}
        <div className="grid grid-cols-2 gap-3">
          <SelectField label={t("asset.kind")} error={message("kind")} {...form.register("kind")}>
            {assetKinds.map((kind) => (
              <option key={kind} value={kind}>
                {t(`kind.${kind}`)}
              </option>
            ))}
          </SelectField>
          <RoleField
            value={form.watch("role")}
            onChange={(role) => form.setValue("role", role, { shouldDirty: true, shouldValidate: true })}
            error={message("role")}
          />
          <TextField
            label={t("asset.vendor")}
            optional
            error={message("vendor")}
            {...form.register("vendor")}
          />
          <TextField label={t("asset.model")} optional error={message("model")} {...form.register("model")} />
        </div>
        <div className="grid grid-cols-2 gap-3 max-md:grid-cols-1">
          <TextField label={t("asset.os")} optional error={message("os")} {...form.register("os")} />
          <SelectField label={t("asset.status")} error={message("status")} {...form.register("status")}>
            <option value="">{t("asset.statusAsSeen", { status: t(`status.${seen}`) })}</option>
            {settable.map((status) => (
              <option key={status} value={status}>
                {t(`status.${status}`)}
              </option>
            ))}
          </SelectField>
        </div>
        <TagPicker
          value={form.watch("tags")}
          onChange={(ids) => form.setValue("tags", ids, { shouldDirty: true })}
        />
        <TextArea
          label={t("asset.notes")}
          optional
          help={t("form.markdown")}
          rows={5}
          error={message("notes")}
          {...form.register("notes")}
        />
      </Form>
    </Panel>
  );
}
