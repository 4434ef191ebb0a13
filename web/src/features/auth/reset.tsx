import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http } from "#/api/client";
import { methodsQuery } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { NewPasswordField } from "#/domain/new-password";
import { PASSWORD_MIN } from "#/domain/password";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/welcome.json";
import { Button } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";
import { useFragmentSecret } from "./fragment";
import { isUsed, useLink } from "./link";
import { AuthLink, AuthShell } from "./shell";

addWords(words);

/** A new password by a reset link. It ends every session, so signing in comes next. */
export function ResetPage({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const token = useFragmentSecret();
  const link = useLink("reset", token);
  const { data: methods } = useQuery(methodsQuery);
  const [error, setError] = useState<unknown>(null);
  const [used, setUsed] = useState(false);
  const form = useForm({ defaultValues: { new_password: "" } });
  const { errors, isDirty, isSubmitting } = form.formState;
  const password = form.watch("new_password");

  const submit = form.handleSubmit(async (values) => {
    setError(null);
    setUsed(false);
    try {
      await http.POST("/api/v1/auth/reset", { body: { ...values, token } });
      toast(t("reset.done"), { ms: 10_000 });
      onDone();
    } catch (problem) {
      const old = isUsed(problem);
      setUsed(old);
      setError(old ? null : placeErrors(problem, ["new_password"], form.setError));
    }
  });

  const mailed = methods?.reset_by_mail ?? false;
  const again = mailed ? <AuthLink href="/forgot">{t("reset.again")}</AuthLink> : null;
  if (!token)
    return (
      <AuthShell title={t("reset.title")} lead={t(mailed ? "reset.noTokenMail" : "reset.noToken")}>
        {again}
        <AuthLink href="/login">{t("forgot.back")}</AuthLink>
      </AuthShell>
    );
  if (link === "asking")
    return (
      <AuthShell title={t("reset.title")}>
        <SkeletonLines lines={4} />
      </AuthShell>
    );
  if (link === "used")
    return (
      <AuthShell title={t("reset.title")} lead={t(mailed ? "reset.usedMail" : "reset.used")}>
        {again}
        <AuthLink href="/login">{t("forgot.back")}</AuthLink>
      </AuthShell>
    );
  return (
    <AuthShell title={t("reset.title")} lead={t("reset.lead")}>
      <Form changed={isDirty} onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        {used ? <ErrorBox error={new Error(t(mailed ? "reset.usedMail" : "reset.used"))} /> : null}
        <NewPasswordField
          label={t("password.new")}
          autoFocus
          typed={password}
          username=""
          error={errors.new_password?.message}
          {...form.register("new_password", {
            validate: (value) =>
              [...value].length >= PASSWORD_MIN || t("password.tooShort", { min: PASSWORD_MIN }),
          })}
        />
        <Button type="submit" look="primary" className="h-9" busy={isSubmitting}>
          {t("reset.save")}
        </Button>
      </Form>
      {used ? again : null}
    </AuthShell>
  );
}
