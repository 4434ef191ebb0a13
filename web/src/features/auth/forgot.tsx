import { type FormEvent, useState } from "react";
import { http } from "#/api/client";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/welcome.json";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { PlainForm } from "#/ui/form";
import { AuthLink, AuthShell } from "./shell";

addWords(words);

/** Asks for a link by mail. The server says the same whatever the name, and so does this page. */
export function ForgotPage() {
  const { t } = useTranslation();
  const [state, setState] = useState<"asking" | "sending" | "sent">("asking");
  const [missing, setMissing] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const username = String(new FormData(event.currentTarget).get("username") ?? "").trim();
    setMissing(!username);
    setError(null);
    if (!username) return;
    setState("sending");
    try {
      await http.POST("/api/v1/auth/forgot", { body: { username } });
      setState("sent");
    } catch (problem) {
      setError(problem);
      setState("asking");
    }
  }

  const back = <AuthLink href="/login">{t("forgot.back")}</AuthLink>;
  if (state === "sent")
    return (
      <AuthShell title={t("forgot.title")}>
        <p role="status" className="text-sm">
          {t("forgot.done")}
        </p>
        {back}
      </AuthShell>
    );
  return (
    <AuthShell title={t("forgot.title")} lead={t("forgot.lead")}>
      <PlainForm onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("auth.username")}
          autoComplete="username"
          autoCapitalize="off"
          autoFocus
          name="username"
          error={missing ? t("auth.usernameNeeded") : undefined}
        />
        <Button type="submit" look="primary" className="h-9" busy={state === "sending"}>
          {t("forgot.send")}
        </Button>
      </PlainForm>
      {back}
    </AuthShell>
  );
}
