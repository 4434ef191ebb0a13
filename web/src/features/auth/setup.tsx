import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useForm } from "react-hook-form";
import { ApiError, http, take } from "#/api/client";
import { beginSession } from "#/api/session";
import { NewPasswordField } from "#/domain/new-password";
import { PASSWORD_MIN } from "#/domain/password";
import { usernameFault } from "#/domain/username";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/welcome.json";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { AuthShell } from "./shell";

addWords(words);

/** The one-time code comes in the fragment, which no server and no log ever sees; then it leaves the address bar. */
function takeCode(): string {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
  return code.trim();
}

export function SetupAdmin({ onDone, onAlreadyDone }: { onDone: () => void; onAlreadyDone: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [given, setGiven] = useState(takeCode);
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: { code: given, username: "admin", password: "", email: "" } });
  const { errors, isDirty, isSubmitting } = form.formState;
  const [username, password] = form.watch(["username", "password"]);

  useEffect(() => {
    if (given) history.replaceState(history.state, "", location.pathname + location.search);
  }, [given]);
  const { setValue } = form;
  useEffect(() => {
    // The whole link, pasted into the page that is open: the browser changes the fragment only.
    const take = () => {
      const code = takeCode();
      if (!code) return;
      setGiven(code);
      setValue("code", code);
    };
    addEventListener("hashchange", take);
    return () => removeEventListener("hashchange", take);
  }, [setValue]);

  const submit = form.handleSubmit(async ({ email, ...body }) => {
    setError(null);
    try {
      const session = await take(
        http.POST("/api/v1/setup", { body: email.trim() ? { ...body, email: email.trim() } : body }),
      );
      await beginSession(client, session);
      onDone();
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 409) return onAlreadyDone();
      if (problem instanceof ApiError && problem.status === 403) {
        form.setError("code", { message: t("setup.codeWrong") }, { shouldFocus: true });
        return;
      }
      let placed = false;
      if (problem instanceof ApiError) {
        for (const [field, reason] of Object.entries(problem.fields)) {
          if (field === "code" || field === "username" || field === "password" || field === "email") {
            form.setError(field, { message: reason }, { shouldFocus: !placed });
            placed = true;
          }
        }
      }
      if (!placed) setError(problem);
    }
  });

  return (
    <AuthShell title={t("setup.title")} lead={t(given ? "setup.leadGiven" : "setup.lead")}>
      <Form changed={isDirty} onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        {given && !errors.code ? null : (
          <TextField
            label={t("setup.code")}
            help={t("setup.codeHelp")}
            mono
            autoComplete="one-time-code"
            autoFocus={!given}
            error={errors.code?.message}
            {...form.register("code", { required: t("setup.codeNeeded") })}
          />
        )}
        <TextField
          label={t("auth.username")}
          help={errors.username ? undefined : t("auth.usernameHelp")}
          autoComplete="username"
          autoCapitalize="off"
          error={errors.username?.message}
          {...form.register("username", { validate: (value) => usernameFault(value, t) })}
        />
        <NewPasswordField
          label={t("auth.password")}
          autoFocus={!!given}
          typed={password}
          username={username}
          error={errors.password?.message}
          {...form.register("password", {
            validate: (value) =>
              [...value].length >= PASSWORD_MIN || t("password.tooShort", { min: PASSWORD_MIN }),
          })}
        />
        <TextField
          label={t("common.email")}
          optional
          type="email"
          autoComplete="email"
          help={t("setup.emailHelp")}
          error={errors.email?.message}
          {...form.register("email")}
        />
        <Button type="submit" look="primary" className="h-9" busy={isSubmitting}>
          {t("setup.create")}
        </Button>
      </Form>
    </AuthShell>
  );
}
