import { useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import { settingsQuery, vaultQuery } from "#/api/queries";
import type { Settings } from "#/api/schema";
import { useAuth } from "#/api/session";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Checkbox, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";

const LEAST = 1;
const MOST = 3_650;
const PROPOSED = "90";

const toForm = ({ vault_key_rotation_days: days }: Settings) => ({
  rotates: days !== null,
  vault_key_rotation_days: days === null ? PROPOSED : String(days),
});

/** How old the key becomes before it is rotated. */
export function Schedule({ settings, saved }: { settings: Settings; saved: (answer: Settings) => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const form = useForm({ defaultValues: toForm(settings) });
  const { errors, isSubmitting, isDirty } = form.formState;
  const rotates = form.watch("rotates");
  const writes = can("settings:write");
  const edit = useEdit({
    form,
    of: settings,
    read: () => client.fetchQuery({ ...settingsQuery, staleTime: 0 }),
    toForm,
    fields: {
      vault_key_rotation_days: {
        label: t("vault.days"),
        text: ({ rotates: on, vault_key_rotation_days: days }) => (on ? days : t("vault.never")),
      },
      rotates: { with: "vault_key_rotation_days" },
    },
    send: (values, held) =>
      take(
        http.PATCH("/api/v1/settings", {
          headers: ifMatch(held?.version ?? 0),
          body: { vault_key_rotation_days: values.rotates ? Number(values.vault_key_rotation_days) : null },
        }),
      ),
    done: (answer) => {
      client.setQueryData(settingsQuery.queryKey, answer);
      saved(answer);
      void client.invalidateQueries({ queryKey: vaultQuery.queryKey });
      toast(t("vault.saved"));
    },
    places: ["vault_key_rotation_days"],
  });
  return (
    <Form changed={isDirty} onSubmit={edit.submit} className="flex flex-col items-start gap-3">
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
      <EditTrouble edit={edit} />
      {writes ? (
        <Button type="submit" busy={isSubmitting} disabled={!isDirty}>
          {t("common.save")}
        </Button>
      ) : null}
    </Form>
  );
}
