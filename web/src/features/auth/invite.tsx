import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import { beginSession } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { NewPasswordField } from "#/domain/new-password";
import { PASSWORD_MIN } from "#/domain/password";
import { usernameFault } from "#/domain/username";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/welcome.json";
import { Button } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { useFragmentSecret } from "./fragment";
import { isUsed, useLink } from "./link";
import { AuthLink, AuthShell } from "./shell";

addWords(words);

/** Somebody was invited: they choose a name and a password, and are in. */
export function InvitePage({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const token = useFragmentSecret();
  const link = useLink("invite", token);
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: { username: "", password: "" } });
  const { errors, isDirty, isSubmitting } = form.formState;
  const [username, password] = form.watch(["username", "password"]);

  const submit = form.handleSubmit(async (values) => {
    setError(null);
    try {
      const body = { ...values, username: values.username.trim(), token };
      await beginSession(client, await take(http.POST("/api/v1/auth/invite", { body })));
      onDone();
    } catch (problem) {
      setError(
        isUsed(problem)
          ? new Error(t("invite.used"))
          : placeErrors(problem, ["username", "password"], form.setError),
      );
    }
  });

  if (!token)
    return (
      <AuthShell title={t("invite.title")} lead={t("invite.noToken")}>
        <AuthLink href="/login">{t("forgot.back")}</AuthLink>
      </AuthShell>
    );
  if (link !== "usable")
    return (
      <AuthShell title={t("invite.title")} lead={link === "used" ? t("invite.used") : null}>
        {link === "used" ? (
          <AuthLink href="/login">{t("forgot.back")}</AuthLink>
        ) : (
          <SkeletonLines lines={4} />
        )}
      </AuthShell>
    );
  return (
    <AuthShell title={t("invite.title")} lead={t("invite.lead")}>
      <Form changed={isDirty} onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.username")}
          help={errors.username ? undefined : t("auth.usernameHelp")}
          autoComplete="username"
          autoCapitalize="off"
          spellCheck={false}
          autoFocus
          error={errors.username?.message}
          {...form.register("username", { validate: (value) => usernameFault(value, t) })}
        />
        <NewPasswordField
          label={t("auth.password")}
          typed={password}
          username={username}
          error={errors.password?.message}
          {...form.register("password", {
            validate: (value) =>
              [...value].length >= PASSWORD_MIN || t("password.tooShort", { min: PASSWORD_MIN }),
          })}
        />
        <Button type="submit" look="primary" className="h-9" busy={isSubmitting}>
          {t("invite.accept")}
        </Button>
      </Form>
    </AuthShell>
  );
}
