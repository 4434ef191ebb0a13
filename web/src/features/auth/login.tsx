import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, http, take } from "#/api/client";
import { beginSession } from "#/api/session";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { PasswordField } from "./password-field";
import { AuthShell } from "./shell";

/** Two fields: no form library, so that the very first page stays small. */
export function LoginPage({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [missing, setMissing] = useState<{ username?: string; password?: string }>({});
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const body = {
      username: String(data.get("username") ?? "").trim(),
      password: String(data.get("password") ?? ""),
    };
    const lacking = {
      username: body.username ? undefined : t("auth.usernameNeeded"),
      password: body.password ? undefined : t("auth.passwordNeeded"),
    };
    setMissing(lacking);
    setError(null);
    if (lacking.username || lacking.password) return;
    setBusy(true);
    try {
      await beginSession(client, await take(http.POST("/api/v1/auth/login", { body })));
      onDone();
    } catch (problem) {
      setError(problem instanceof ApiError && problem.status === 401 ? new Error(t("auth.wrong")) : problem);
      const password = form.elements.namedItem("password");
      if (password instanceof HTMLInputElement) {
        password.value = "";
        password.focus();
      }
    } finally {
      setBusy(false);
    }
  }

  return (
    <AuthShell title={t("auth.signIn")}>
      <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.username")}
          autoComplete="username"
          autoCapitalize="off"
          autoFocus
          name="username"
          error={missing.username}
        />
        <PasswordField
          label={t("auth.password")}
          autoComplete="current-password"
          name="password"
          error={missing.password}
        />
        <Button type="submit" look="primary" className="h-9" busy={busy}>
          {busy ? t("auth.signingIn") : t("auth.signIn")}
        </Button>
      </form>
      <p className="mt-8 text-xs text-muted">
        {t("auth.caHint")}{" "}
        <a
          href="/ca.crt"
          download="circuit-breaker-ca.crt"
          className="text-accent-text underline underline-offset-2"
        >
          {t("auth.caDownload")}
        </a>
      </p>
    </AuthShell>
  );
}
