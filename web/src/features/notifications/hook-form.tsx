import { useState } from "react";
import { useForm } from "react-hook-form";
import { ApiError, http, ifMatch, take } from "#/api/client";
import type { Hook, HookFormat } from "#/api/schema";
import { placeErrors } from "#/domain/form-errors";
import { useTranslation } from "#/i18n";
import { SelectField, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { FormError } from "#/ui/form-error";
import { toast } from "#/ui/toast";

const formats = ["generic", "alertmanager", "uptime_kuma", "proxmox"] as const satisfies HookFormat[];

interface Props {
  id: string;
  hook?: Hook;
  writes: boolean;
  onBusy: (busy: boolean) => void;
  onSaved: (hook: Hook) => void;
}

export function HookFields({ id, hook, writes, onBusy, onSaved }: Props) {
  const { t } = useTranslation();
  const [error, setError] = useState<unknown>(null);
  const form = useForm<{ name: string; format: HookFormat }>({
    defaultValues: { name: hook?.name ?? "", format: hook?.format ?? "generic" },
  });
  const { errors, isDirty } = form.formState;
  const format = form.watch("format");

  const submit = form.handleSubmit(async (typed) => {
    setError(null);
    onBusy(true);
    const name = typed.name.trim();
    try {
      const saved = hook
        ? await take(
            http.PATCH("/api/v1/hooks/{id}", {
              params: { path: { id: hook.id } },
              headers: ifMatch(hook.version),
              body: { name },
            }),
          )
        : await take(http.POST("/api/v1/hooks", { body: { name, format: typed.format } }));
      toast(t("notification.saved", { name: saved.name }));
      onSaved(saved);
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 412)
        setError(new ApiError(412, { ...problem.problem, detail: t("form.stale") }));
      else setError(placeErrors(problem, ["name", "format"], form.setError));
    } finally {
      onBusy(false);
    }
  });

  return (
    <Form changed={isDirty} id={id} onSubmit={submit} className="flex flex-col gap-4">
      <FormError error={error} />
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
