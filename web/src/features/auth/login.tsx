import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { ApiError, http, take } from "#/api/client";
import { beginSession } from "#/api/session";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { PasswordField } from "./password-field";
import { AuthShell } from "./shell";

export function LoginPage({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: { username: "", password: "" } });
  const { errors, isSubmitting } = form.formState;

  const submit = form.handleSubmit(async (body) => {
    setError(null);
    try {
      await beginSession(client, await take(http.POST("/api/v1/auth/login", { body })));
      onDone();
    } catch (problem) {
      setError(problem instanceof ApiError && problem.status === 401 ? new Error(t("auth.wrong")) : problem);
      form.resetField("password");
      form.setFocus("password");
    }
  });

  return (
    <AuthShell title={t("auth.signIn")}>
      <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.username")}
          autoComplete="username"
          autoCapitalize="off"
          autoFocus
          error={errors.username?.message}
          {...form.register("username", { required: t("auth.usernameNeeded") })}
        />
        <PasswordField
          label={t("auth.password")}
          autoComplete="current-password"
          error={errors.password?.message}
          {...form.register("password", { required: t("auth.passwordNeeded") })}
        />
        <Button type="submit" look="primary" className="h-9" busy={isSubmitting}>
          {isSubmitting ? t("auth.signingIn") : t("auth.signIn")}
        </Button>
      </form>
      <p className="mt-8 text-xs text-muted">
        {t("auth.caHint")}{" "}
        <a href="/ca.crt" download="circuit-breaker-ca.crt" className="text-accent-text underline underline-offset-2">
          {t("auth.caDownload")}
        </a>
      </p>
    </AuthShell>
  );
}
