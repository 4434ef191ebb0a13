import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { ApiError, http, take } from "#/api/client";
import { beginSession } from "#/api/session";
import { PasskeyButton, passkeysWork } from "#/domain/passkey";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { PlainForm } from "#/ui/form";
import type { Step } from "./fragment";
import { AuthShell } from "./shell";

/** The server gives a step so long and so many wrong answers; its refusals do not say which of the two it was. */
const STEP_MS = 5 * 60_000;
const STEP_TRIES = 5;

/** The second step of signing in, after the password or after a provider. */
export default function SecondFactor({
  step: { token, methods },
  onDone,
  onBack,
}: {
  step: Step;
  onDone: () => void;
  onBack: (expired: boolean) => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const passkey = methods.includes("passkey") && passkeysWork();
  const codes = methods.includes("totp") || methods.includes("recovery_code");
  const [by, setBy] = useState<"passkey" | "code">(passkey ? "passkey" : "code");
  const [error, setError] = useState<unknown>(null);
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [began] = useState(() => Date.now());
  const tries = useRef(0);

  /** Whether the step is over; else the answer was wrong, and another may be given. */
  function isOver(): boolean {
    tries.current += 1;
    return tries.current >= STEP_TRIES || Date.now() - began >= STEP_MS;
  }

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
        if (isOver()) return onBack(true);
        setWrong(t("auth.codeWrong"));
      } else setError(problem);
      field.value = "";
      field.focus();
    } finally {
      setBusy(false);
    }
  }

  function change(next: typeof by): void {
    setBy(next);
    setError(null);
    setWrong(undefined);
  }
  const back = (
    <Button look="ghost" onClick={() => onBack(false)}>
      {t("auth.back")}
    </Button>
  );
  if (by === "passkey")
    return (
      <AuthShell title={t("auth.secondFactor")} lead={t("auth.secondFactorLead")}>
        <div className="flex flex-col gap-4">
          {error ? <ErrorBox error={error} /> : null}
          <PasskeyButton
            label={t("auth.usePasskey")}
            look="primary"
            className="h-9"
            autoFocus
            ask={async () => {
              try {
                return await take(http.POST("/api/v1/auth/mfa/passkey", { body: { mfa_token: token } }));
              } catch (problem) {
                // Before anything was shown: the step is gone.
                if (problem instanceof ApiError && problem.status === 401) onBack(true);
                throw problem;
              }
            }}
            send={async (shown) => {
              const body = { mfa_token: token, ...shown };
              await beginSession(client, await take(http.POST("/api/v1/auth/mfa", { body })));
              onDone();
            }}
            onError={(problem) => {
              if (!(problem instanceof ApiError && problem.status === 401)) return setError(problem);
              if (isOver()) onBack(true);
              else setError(new Error(t("auth.passkeyWrong")));
            }}
          />
          {codes ? <Button onClick={() => change("code")}>{t("auth.useCode")}</Button> : null}
          {back}
        </div>
      </AuthShell>
    );
  return (
    <AuthShell title={t("auth.secondFactor")} lead={t("auth.secondFactorCode")}>
      <PlainForm onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.code")}
          help={t(methods.includes("totp") ? "auth.codeHelp" : "auth.recoveryHelp")}
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
        {passkey ? <Button onClick={() => change("passkey")}>{t("auth.usePasskey")}</Button> : null}
        {back}
      </PlainForm>
    </AuthShell>
  );
}
