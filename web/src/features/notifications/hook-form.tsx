import { useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import type { Hook, HookFormat } from "#/api/schema";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { useTranslation } from "#/i18n";
import { SelectField, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";
import { hookQuery } from "./queries";

const formats = ["generic", "alertmanager", "uptime_kuma", "proxmox"] as const satisfies HookFormat[];

const toForm = (hook?: Hook) => ({
  name: hook?.name ?? "",
  format: hook?.format ?? ("generic" as HookFormat),
});

interface Props {
  id: string;
  hook?: Hook;
  writes: boolean;
  onBusy: (busy: boolean) => void;
  onSaved: (hook: Hook) => void;
}

export function HookFields({ id, hook, writes, onBusy, onSaved }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const form = useForm({ defaultValues: toForm(hook) });
  const { errors, isDirty } = form.formState;
  const format = form.watch("format");

  const edit = useEdit({
    form,
    of: hook,
    read: ({ id: one }) => client.fetchQuery({ ...hookQuery(one), staleTime: 0 }),
    toForm,
    fields: {
      name: { label: t("notification.name") },
      // It cannot be changed.
      format: { label: t("hook.format"), text: ({ format }) => t(`hook.formats.${format}`) },
    },
    send: (typed, held) => {
      const name = typed.name.trim();
      return held
        ? take(
            http.PATCH("/api/v1/hooks/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body: { name },
            }),
          )
        : take(http.POST("/api/v1/hooks", { body: { name, format: typed.format } }));
    },
    done: (saved) => {
      toast(t("notification.saved", { name: saved.name }));
      onSaved(saved);
    },
    places: ["name", "format"],
    onBusy,
  });

  return (
    <Form changed={isDirty} id={id} onSubmit={edit.submit} className="flex flex-col gap-4">
      <EditTrouble edit={edit} />
      <fieldset disabled={!writes} className="flex flex-col gap-4">
        <TextField
          label={t("notification.name")}
          autoFocus={!hook}
          maxLength={100}
          error={errors.name?.message}
          {...form.register("name", { validate: (text) => text.trim() !== "" || t("form.required") })}
        />
        {hook ? null : (
          <SelectField
            label={t("hook.format")}
            help={t(`hook.formatHelp.${format}`)}
            error={errors.format?.message}
            {...form.register("format")}
          >
            {formats.map((one) => (
              <option key={one} value={one}>
                {t(`hook.formats.${one}`)}
              </option>
            ))}
          </SelectField>
        )}
      </fieldset>
    </Form>
  );
}
