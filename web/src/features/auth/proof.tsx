/** Asks again who one is, when the server wants to know (api/proof.ts). Mounted once, in the frame. */
import { type FormEvent, useState, useSyncExternalStore } from "react";
import { ApiError, http } from "#/api/client";
import { answerProof, isProofAsked, watchProof } from "#/api/proof";
import { useAuth } from "#/api/session";
import { PasswordField } from "#/domain/password-field";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";

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

function ProofForm() {
  const { t } = useTranslation();
  const { me } = useAuth();
  const [by, setBy] = useState<"password" | "code">("password");
  const [error, setError] = useState<unknown>(null);
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    // The dialog may stand over another form; React would pass the event on to it.
    event.stopPropagation();
    const field = event.currentTarget.elements.namedItem(by);
    if (!(field instanceof HTMLInputElement)) return;
    setError(null);
    setWrong(field.value ? undefined : t(by === "code" ? "auth.codeNeeded" : "auth.passwordNeeded"));
    if (!field.value) return field.focus();
    setBusy(true);
    try {
      await http.POST("/api/v1/auth/proof", {
        body: by === "code" ? { code: field.value } : { password: field.value },
      });
      answerProof(true);
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 403)
        setWrong(t(by === "code" ? "auth.codeWrong" : "proof.passwordWrong"));
      else setError(problem);
      field.value = "";
      field.focus();
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
      {error ? <ErrorBox error={error} /> : null}
      {/* For password managers: whose password is asked for. */}
      <input type="text" autoComplete="username" value={me.user.username} readOnly hidden />
      {by === "password" ? (
        <PasswordField
          key="password"
          label={t("proof.password", { name: me.user.username })}
          name="password"
          autoComplete="current-password"
          autoFocus
          error={wrong}
        />
      ) : (
        <TextField
          key="code"
          label={t("auth.code")}
          help={t("auth.codeHelp")}
          name="code"
          mono
          autoComplete="one-time-code"
          autoCapitalize="characters"
          spellCheck={false}
          autoFocus
          error={wrong}
        />
      )}
      <div className="flex flex-wrap items-center gap-2">
        <Button type="submit" look="primary" busy={busy}>
          {t("proof.confirm")}
        </Button>
        <Button onClick={() => answerProof(false)}>{t("common.cancel")}</Button>
        {me.user.second_factor ? (
          <Button
            look="ghost"
            className="ml-auto"
            onClick={() => {
              setBy(by === "code" ? "password" : "code");
              setWrong(undefined);
              setError(null);
            }}
          >
            {t(by === "code" ? "proof.byPassword" : "proof.byCode")}
          </Button>
        ) : null}
      </div>
    </form>
  );
}
