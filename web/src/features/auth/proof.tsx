/** Asks again who one is, when the server wants to know (api/proof.ts). Mounted once, in the frame. */

import { useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "@tanstack/react-router";
import { type FormEvent, useState, useSyncExternalStore } from "react";
import { ApiError, http, take } from "#/api/client";
import { answerProof, isProofAsked, watchProof } from "#/api/proof";
import type { Proof, ProofKind } from "#/api/schema";
import { continueSession, useAuth } from "#/api/session";
import { PasskeyButton, passkeysWork } from "#/domain/passkey";
import { PasswordField } from "#/domain/password-field";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { Cancel, PlainForm } from "#/ui/form";

export function ProofDialog() {
  const { t } = useTranslation();
  const asked = useSyncExternalStore(watchProof, isProofAsked);
  return (
    <Dialog
      title={t("proof.title")}
      description={t("proof.text")}
      open={asked}
      onClose={() => answerProof(false)}
    >
      <ProofForm />
    </Dialog>
  );
}

const order: readonly ProofKind[] = ["passkey", "password", "password_and_code"];

function ProofForm() {
  const { t } = useTranslation();
  const { me } = useAuth();
  const offered = order.filter((kind) => me.proofs.includes(kind) && (kind !== "passkey" || passkeysWork()));
  const [chosen, setChosen] = useState<ProofKind>();
  const [error, setError] = useState<unknown>(null);
  const client = useQueryClient();
  const by = chosen ?? offered[0];
  if (!by) return <SignInAgain />;
  async function prove(body: Proof): Promise<void> {
    continueSession(client, await take(http.POST("/api/v1/auth/proof", { body })));
    answerProof(true);
  }
  return (
    <div className="flex flex-col gap-4">
      {error ? <ErrorBox error={error} /> : null}
      {by === "passkey" ? (
        <div className="flex flex-wrap gap-2">
          <PasskeyButton
            label={t("auth.usePasskey")}
            look="primary"
            autoFocus
            ask={() => take(http.POST("/api/v1/auth/proof/passkey", {}))}
            send={prove}
            onError={(problem) =>
              setError(
                problem instanceof ApiError && problem.status === 403
                  ? new Error(t("proof.passkeyWrong"))
                  : problem,
              )
            }
          />
          <Cancel onClick={() => answerProof(false)} />
        </div>
      ) : (
        <TypedProof key={by} withCode={by === "password_and_code"} prove={prove} onError={setError} />
      )}
      {offered.length > 1 ? (
        <div className="flex flex-wrap gap-2 border-t border-line pt-3">
          {offered.map((kind) =>
            kind === by ? null : (
              <Button
                key={kind}
                look="ghost"
                onClick={() => {
                  setChosen(kind);
                  setError(null);
                }}
              >
                {t(`proof.by.${kind}`)}
              </Button>
            ),
          )}
        </div>
      ) : null}
    </div>
  );
}

interface TypedProofProps {
  withCode: boolean;
  prove: (body: Proof) => Promise<void>;
  onError: (error: unknown) => void;
}

function TypedProof({ withCode, prove, onError }: TypedProofProps) {
  const { t } = useTranslation();
  const { me } = useAuth();
  const [wrong, setWrong] = useState<{ password?: string; code?: string }>({});
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    // The dialog may stand over another form; React would pass the event on to it.
    event.stopPropagation();
    const password = event.currentTarget.elements.namedItem("password");
    const code = event.currentTarget.elements.namedItem("code");
    if (!(password instanceof HTMLInputElement)) return;
    const second = code instanceof HTMLInputElement ? code : null;
    onError(null);
    setWrong({
      password: password.value ? undefined : t("auth.passwordNeeded"),
      code: second && !second.value ? t("auth.codeNeeded") : undefined,
    });
    if (!password.value) return password.focus();
    if (second && !second.value) return second.focus();
    setBusy(true);
    try {
      await prove({ password: password.value, ...(second && { code: second.value }) });
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 403)
        setWrong(second ? { code: t("proof.bothWrong") } : { password: t("proof.passwordWrong") });
      else onError(problem);
      if (second) second.value = "";
      else password.value = "";
      (second ?? password).focus();
    } finally {
      setBusy(false);
    }
  }

  return (
    <PlainForm onSubmit={submit} className="flex flex-col gap-4">
      {/* For password managers: whose password is asked for. */}
      <input type="text" autoComplete="username" value={me.user.username} readOnly hidden />
      <PasswordField
        label={t("proof.password", { name: me.user.username })}
        name="password"
        autoComplete="current-password"
        autoFocus
        error={wrong.password}
      />
      {withCode ? (
        <TextField
          label={t("auth.code")}
          help={t("auth.codeHelp")}
          name="code"
          mono
          autoComplete="one-time-code"
          autoCapitalize="characters"
          spellCheck={false}
          error={wrong.code}
        />
      ) : null}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={busy}>
          {t("proof.confirm")}
        </Button>
        <Cancel onClick={() => answerProof(false)} />
      </div>
    </PlainForm>
  );
}

/** Who came by a provider, and has nothing else to show, comes that way once more. */
function SignInAgain() {
  const { t } = useTranslation();
  const { href } = useLocation();
  return (
    <div className="flex flex-col gap-4">
      <p>{t("proof.none")}</p>
      <div className="flex flex-wrap gap-2">
        <Link
          to="/login"
          search={{ next: href }}
          className={buttonClass("primary")}
          onClick={() => answerProof(false)}
        >
          {t("frame.signInAgain")}
        </Link>
        <Cancel onClick={() => answerProof(false)} />
      </div>
    </div>
  );
}
