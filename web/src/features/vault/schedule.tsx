import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import { settingsQuery, vaultQuery } from "#/api/queries";
import type { Settings } from "#/api/schema";
import { useAuth } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { Checkbox, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";

const LEAST = 1;
const MOST = 3_650;
const PROPOSED = "90";

/** How old the key becomes before it is rotated. */
export function Schedule({ settings, saved }: { settings: Settings; saved: (answer: Settings) => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const now = settings.vault_key_rotation_days;
  const form = useForm({
    defaultValues: { rotates: now !== null, vault_key_rotation_days: now === null ? PROPOSED : String(now) },
  });
  const { errors, isSubmitting, isDirty } = form.formState;
  const rotates = form.watch("rotates");
  const writes = can("settings:write");
  const submit = form.handleSubmit(async (values) => {
    setError(null);
    const body = {
      vault_key_rotation_days: values.rotates ? Number(values.vault_key_rotation_days) : null,
    };
    try {
      const answer = await take(http.PATCH("/api/v1/settings", { body }));
      client.setQueryData(settingsQuery.queryKey, answer);
      saved(answer);
      void client.invalidateQueries({ queryKey: vaultQuery.queryKey });
      toast(t("vault.saved"));
    } catch (problem) {
      setError(placeErrors(problem, ["vault_key_rotation_days"], form.setError));
    }
  });
  return (
    <Form changed={isDirty} onSubmit={submit} className="flex flex-col items-start gap-3">
      <Checkbox label={t("vault.rotates")} disabled={!writes} {...form.register("rotates")} />
      {rotates ? (
        <TextField
          label={t("vault.days")}
          help={t("vault.daysHelp", { least: LEAST, most: counted(MOST) })}
          className="w-40"
          inputMode="numeric"
          maxLength={4}
          disabled={!writes}
          error={errors.vault_key_rotation_days?.message}
          {...form.register("vault_key_rotation_days", {
            validate: (text) =>
              (/^\d+$/.test(text) && Number(text) >= LEAST && Number(text) <= MOST) ||
              t("vault.daysWrong", { least: LEAST, most: counted(MOST) }),
          })}
        />
      ) : null}
      {error ? <ErrorBox error={error} className="w-full" /> : null}
      {writes ? (
        <Button type="submit" busy={isSubmitting} disabled={!isDirty}>
          {t("common.save")}
        </Button>
      ) : null}
    </Form>
  );
}
