import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { ApiError, http, take } from "#/api/client";
import { beginSession } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { AuthShell } from "./shell";

/** The server gives a step so long and so many wrong codes; its refusals do not say which of the two it was. */
const STEP_MS = 5 * 60_000;
const STEP_TRIES = 5;

/** The second step of signing in, after the password. */
export default function SecondFactor({
  token,
  onDone,
  onBack,
}: {
  token: string;
  onDone: () => void;
  onBack: (expired: boolean) => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [began] = useState(() => Date.now());
  const tries = useRef(0);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const field = event.currentTarget.elements.namedItem("code");
    if (!(field instanceof HTMLInputElement)) return;
    const code = field.value.trim();
    setError(null);
    setWrong(code ? undefined : t("auth.codeNeeded"));
    if (!code) return field.focus();
    setBusy(true);
    try {
      await beginSession(
        client,
        await take(http.POST("/api/v1/auth/mfa", { body: { mfa_token: token, code } })),
      );
      onDone();
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 401) {
        tries.current += 1;
        if (tries.current >= STEP_TRIES || Date.now() - began >= STEP_MS) return onBack(true);
        setWrong(t("auth.codeWrong"));
      } else setError(problem);
      field.value = "";
      field.focus();
    } finally {
      setBusy(false);
    }
  }

  return (
    <AuthShell title={t("auth.secondFactor")} lead={t("auth.secondFactorLead")}>
      <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.code")}
          help={t("auth.codeHelp")}
          name="code"
          mono
          autoFocus
          autoComplete="one-time-code"
          autoCapitalize="characters"
          autoCorrect="off"
          spellCheck={false}
          maxLength={64}
          error={wrong}
        />
        <Button type="submit" look="primary" className="h-9" busy={busy}>
          {busy ? t("auth.signingIn") : t("auth.signIn")}
        </Button>
        <Button look="ghost" onClick={() => onBack(false)}>
          {t("auth.back")}
        </Button>
      </form>
    </AuthShell>
  );
}
