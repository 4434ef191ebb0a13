import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, http, take } from "#/api/client";
import { beginSession, methodsQuery } from "#/api/session";
import { PasswordField } from "#/domain/password-field";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { PlainForm } from "#/ui/form";
import { Later, later } from "#/ui/later";
import { type Step, useFragmentStep } from "./fragment";
import { OtherWays } from "./other-ways";
import { ProblemBox } from "./problem";
import type { SignInProblem } from "./problems";
import { AuthLink, AuthShell } from "./shell";

const SecondFactor = later(() => import("./second-factor"));

/** Two fields: no form library, so that the very first page stays small. */
export function LoginPage({
  next,
  problem,
  provider,
  onDone,
}: {
  next: string | undefined;
  problem: SignInProblem | undefined;
  provider: string | undefined;
  onDone: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { data: methods } = useQuery(methodsQuery);
  const [error, setError] = useState<unknown>(null);
  const [missing, setMissing] = useState<{ username?: string; password?: string }>({});
  const [busy, setBusy] = useState(false);
  const [username, setUsername] = useState("");
  const carried = useFragmentStep();
  const [begun, setBegun] = useState<Step | null>(null);
  const [left, setLeft] = useState<Step | null>(null);
  const step = begun ?? (carried === left ? null : carried);

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
    if (lacking.username || lacking.password) {
      const first = form.elements.namedItem(lacking.username ? "username" : "password");
      if (first instanceof HTMLInputElement) first.focus();
      return;
    }
    setBusy(true);
    try {
      const answer = await take(http.POST("/api/v1/auth/login", { body }));
      if ("mfa_token" in answer) {
        setUsername(body.username);
        setBegun({ token: answer.mfa_token, methods: answer.methods });
        return;
      }
      await beginSession(client, answer);
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

  if (step)
    return (
      <Later
        part={SecondFactor}
        fallback={<AuthShell title={t("auth.secondFactor")} />}
        props={{
          step,
          onDone,
          onBack: (expired) => {
            setBegun(null);
            setLeft(carried);
            setError(expired ? new Error(t("auth.expired")) : null);
          },
        }}
      />
    );

  return (
    <AuthShell title={t("auth.signIn")}>
      {problem && !error ? <ProblemBox problem={problem} provider={provider} /> : null}
      <PlainForm onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.username")}
          autoComplete="username"
          autoCapitalize="off"
          autoFocus={!username}
          defaultValue={username}
          name="username"
          error={missing.username}
        />
        <PasswordField
          label={t("auth.password")}
          autoComplete="current-password"
          autoFocus={!!username}
          name="password"
          error={missing.password}
        />
        <Button type="submit" look="primary" className="h-9" busy={busy}>
          {busy ? t("auth.signingIn") : t("auth.signIn")}
        </Button>
      </PlainForm>
      {methods?.reset_by_mail ? <AuthLink href="/forgot">{t("auth.forgot")}</AuthLink> : null}
      <OtherWays next={next} onDone={onDone} onError={setError} />
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
