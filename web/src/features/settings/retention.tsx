import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import { settingsQuery } from "#/api/queries";
import type { Settings } from "#/api/schema";
import { useAuth } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox } from "#/ui/feedback";
import { Checkbox, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";

const LEAST = 30;
const MOST = 3_650;
const PROPOSED = "365";

/** How long the audit log is kept. What makes it shorter removes entries for good, so that it asks first. */
export function Retention({ settings, saved }: { settings: Settings; saved: (answer: Settings) => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [asked, setAsked] = useState<number | null>(null);
  const now = settings.audit_retention_days;
  const form = useForm({
    defaultValues: { forEver: now === null, days: now === null ? PROPOSED : String(now) },
  });
  const { errors, isSubmitting, isDirty } = form.formState;
  const forEver = form.watch("forEver");
  const writes = can("settings:write");
  const shorten = t("settings.shorten", { days: counted(asked ?? 0) });

  async function save(days: number | null): Promise<void> {
    const body = { audit_retention_days: days };
    const answer = await take(http.PATCH("/api/v1/settings", { body }));
    client.setQueryData(settingsQuery.queryKey, answer);
    saved(answer);
    toast(t("settings.saved"));
  }
  const submit = form.handleSubmit(async (values) => {
    setError(null);
    const days = values.forEver ? null : Number(values.days);
    if (days !== null && (now === null || days < now)) return setAsked(days);
    try {
      await save(days);
    } catch (problem) {
      setError(placeErrors(problem, [], form.setError));
    }
  });
  return (
    <Form changed={isDirty} onSubmit={submit} className="flex flex-col items-start gap-3">
      <Checkbox label={t("settings.forEver")} disabled={!writes} {...form.register("forEver")} />
      {forEver ? null : (
        <TextField
          label={t("settings.days")}
          help={t("settings.daysHelp", { least: LEAST, most: counted(MOST) })}
          className="w-40"
          inputMode="numeric"
          maxLength={4}
          disabled={!writes}
          error={errors.days?.message}
          {...form.register("days", {
            validate: (text) =>
              (/^\d+$/.test(text) && Number(text) >= LEAST && Number(text) <= MOST) ||
              t("settings.daysWrong", { least: LEAST, most: counted(MOST) }),
          })}
        />
      )}
      {error ? <ErrorBox error={error} className="w-full" /> : null}
      {writes ? (
        <Button type="submit" busy={isSubmitting} disabled={!isDirty}>
          {t("common.save")}
        </Button>
      ) : null}
      {asked === null ? null : (
        <Confirm
          title={shorten}
          text={t("settings.shortenText")}
          action={shorten}
          work={() => save(asked)}
          onClose={() => setAsked(null)}
        />
      )}
    </Form>
  );
}
