import { zodResolver } from "@hookform/resolvers/zod";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { ApiError } from "#/api/client";
import type { Asset, AssetKind, AssetStatus } from "#/api/schema";
import { assetKinds, assetStatuses } from "#/domain/asset";
import { placeErrors } from "#/domain/form-errors";
import { knownRoles } from "#/domain/icons";
import { TagPicker } from "#/domain/tag-picker";
import { z } from "#/domain/zod";
import { isKey, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox, Warning } from "#/ui/feedback";
import { SelectField, TextArea, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { Panel } from "#/ui/panel";
import { toast } from "#/ui/toast";
import { type AssetInput, useSaveAsset } from "./queries";

const word = z.string().trim().max(200, "form.tooLong");
const schema = z.object({
  name: word.min(1, "form.required"),
  kind: z.enum(assetKinds as [AssetKind, ...AssetKind[]]),
  role: word,
  vendor: word,
  model: word,
  os: word,
  status: z.enum(["", ...assetStatuses] as ["", ...AssetStatus[]]),
  notes: z.string().max(65_536, "form.tooLong"),
  tags: z.array(z.string()),
});
const fields = ["name", "kind", "role", "vendor", "model", "os", "status", "notes", "tags"] as const;

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
  const [error, setError] = useState<unknown>(null);
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: {
      name: asset?.name ?? "",
      kind: asset?.kind ?? "device",
      role: asset?.role ?? "",
      vendor: asset?.vendor ?? "",
      model: asset?.model ?? "",
      os: asset?.os ?? "",
      status: (asset?.status_set ?? "") as AssetStatus | "",
      notes: asset?.notes ?? "",
      tags: asset?.tags.map((tag) => tag.id) ?? [],
    },
  });
  const { errors, dirtyFields, isDirty, isSubmitting } = form.formState;
  // "Unknown" says less than what is seen: it is offered only to whoever has it already.
  const settable = assetStatuses.filter(
    (s) => (s !== "unknown" && s !== "not_seen") || asset?.status_set === s,
  );
  const message = (field: (typeof fields)[number]) => {
    const text = errors[field]?.message;
    return text && isKey(text) ? t(text) : text;
  };

  const submit = form.handleSubmit(async (values) => {
    setError(null);
    const full: AssetInput = {
      ...values,
      role: values.role || null,
      vendor: values.vendor || null,
      model: values.model || null,
      os: values.os || null,
      status: values.status || null,
    };
    // Only what was changed is sent: an untouched field must not count as typed by a person.
    const changes = asset
      ? Object.fromEntries(Object.entries(full).filter(([key]) => dirtyFields[key as keyof AssetInput]))
      : full;
    try {
      const saved = await save.mutateAsync({ asset, changes });
      toast(t(asset ? "asset.saved" : "asset.created", { name: saved.name }));
      onSaved(saved.id);
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 412)
        setError(new ApiError(412, { ...problem.problem, detail: t("form.stale") }));
      else setError(placeErrors(problem, fields, form.setError));
    }
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
      <Form changed={isDirty} id="asset-form" onSubmit={submit} className="flex flex-col gap-4">
        {gone ? <Warning>{t("asset.goneWhileEditing")}</Warning> : null}
        {error ? <ErrorBox error={error} /> : null}
        <TextField label={t("asset.name")} autoFocus error={message("name")} {...form.register("name")} />
        <div className="grid grid-cols-2 gap-3">
          <SelectField label={t("asset.kind")} error={message("kind")} {...form.register("kind")}>
            {assetKinds.map((kind) => (
              <option key={kind} value={kind}>
                {t(`kind.${kind}`)}
              </option>
            ))}
          </SelectField>
          <TextField
            label={t("asset.role")}
            list="known-roles"
            help={t("asset.roleHelp")}
            error={message("role")}
            {...form.register("role")}
          />
          <datalist id="known-roles">
            {knownRoles.map((role) => (
              <option key={role} value={role} />
            ))}
          </datalist>
          <TextField label={t("asset.vendor")} error={message("vendor")} {...form.register("vendor")} />
          <TextField label={t("asset.model")} error={message("model")} {...form.register("model")} />
        </div>
        <div className="grid grid-cols-2 gap-3">
          <TextField label={t("asset.os")} error={message("os")} {...form.register("os")} />
          <SelectField label={t("asset.status")} error={message("status")} {...form.register("status")}>
            <option value="">
              {t("asset.statusAsSeen", { status: t(`status.${asset?.status_seen ?? "unknown"}`) })}
            </option>
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
          help={t("form.markdown")}
          rows={5}
          error={message("notes")}
          {...form.register("notes")}
        />
      </Form>
    </Panel>
  );
}
