import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import type { LinkOut, Role } from "#/api/schema";
import { placeErrors } from "#/domain/form-errors";
import { roles } from "#/domain/roles";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { SelectField, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { Panel } from "#/ui/panel";
import { OneTimeLink } from "./one-time-link";
import { invitesQuery } from "./queries";

export function InvitePanel({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [link, setLink] = useState<LinkOut | null>(null);
  const form = useForm({ defaultValues: { role: "viewer" as Role, email: "" } });
  const { errors, isDirty, isSubmitting } = form.formState;
  const role = form.watch("role");
  const submit = form.handleSubmit(async (values) => {
    setError(null);
    try {
      const body = { role: values.role, email: values.email.trim() || null };
      setLink(await take(http.POST("/api/v1/invites", { body })));
      void client.invalidateQueries({ queryKey: invitesQuery.queryKey });
    } catch (problem) {
      setError(placeErrors(problem, ["role", "email"], form.setError));
    }
  });
  if (link)
    return (
      <Panel title={t("users.invite")} onClose={onClose}>
        <OneTimeLink label={t("users.inviteLink")} text={t("users.inviteLinkText")} link={link} />
        <Button look="primary" className="mt-4" onClick={onClose}>
          {t("secret.done")}
        </Button>
      </Panel>
    );
  return (
    <Panel
      title={t("users.invite")}
      onClose={onClose}
      footer={
        <>
          <Button look="primary" type="submit" form="invite-form" busy={isSubmitting}>
            {t("users.makeLink")}
          </Button>
          <Cancel onClick={onClose} />
        </>
      }
    >
      <Form changed={isDirty} id="invite-form" onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <p className="text-muted">{t("users.inviteText")}</p>
        <SelectField
          label={t("users.role")}
          help={t(`roleText.${role}`)}
          autoFocus
          error={errors.role?.message}
          {...form.register("role")}
        >
          {roles.map((one) => (
            <option key={one} value={one}>
              {t(`roles.${one}`)}
            </option>
          ))}
        </SelectField>
        <TextField
          label={t("common.email")}
          optional
          help={t("users.inviteEmailHelp")}
          type="email"
          autoComplete="off"
          error={errors.email?.message}
          {...form.register("email")}
        />
      </Form>
    </Panel>
  );
}
