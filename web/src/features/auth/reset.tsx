import { useState } from "react";
import { useForm } from "react-hook-form";
import { ApiError, http } from "#/api/client";
import { placeErrors } from "#/domain/form-errors";
import { NewPasswordField } from "#/domain/new-password";
import { PASSWORD_MIN } from "#/domain/password";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/welcome.json";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { toast } from "#/ui/toast";
import { useFragmentSecret } from "./fragment";
import { AuthShell } from "./shell";

addWords(words);

/** A new password by a reset link. It ends every session, so signing in comes next. */
export function ResetPage({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const token = useFragmentSecret();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: { new_password: "" } });
  const { errors, isSubmitting } = form.formState;
  const password = form.watch("new_password");

  const submit = form.handleSubmit(async (values) => {
    setError(null);
    try {
      await http.POST("/api/v1/auth/reset", { body: { ...values, token } });
      toast(t("reset.done"), { ms: 10_000 });
      onDone();
    } catch (problem) {
      const used = problem instanceof ApiError && problem.status === 403;
      setError(used ? new Error(t("reset.used")) : placeErrors(problem, ["new_password"], form.setError));
    }
  });

  if (!token) return <AuthShell title={t("reset.title")} lead={t("reset.noToken")} />;
  return (
    <AuthShell title={t("reset.title")} lead={t("reset.lead")}>
      <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
        {error ? <ErrorBox error={error} /> : null}
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
      </form>
    </AuthShell>
  );
}
