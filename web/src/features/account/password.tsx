import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import { continueSession, useAuth } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { NewPasswordField } from "#/domain/new-password";
import { PASSWORD_MIN } from "#/domain/password";
import { PasswordField } from "#/domain/password-field";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { Cancel, Form } from "#/ui/form";
import { toast } from "#/ui/toast";
import { sessionsQuery } from "./queries";

const empty = { current_password: "", new_password: "" };

export function Password({ open, onOpen }: { open: boolean; onOpen: (open: boolean) => void }) {
  const { t } = useTranslation();
  const { me } = useAuth();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: empty });
  const { errors, isDirty, isSubmitting } = form.formState;
  const typed = form.watch("new_password");

  function close() {
    form.reset(empty);
    setError(null);
    onOpen(false);
  }
  const submit = form.handleSubmit(async ({ current_password, new_password }) => {
    setError(null);
    const body = me.user.has_password ? { current_password, new_password } : { new_password };
    try {
      continueSession(client, await take(http.POST("/api/v1/auth/password", { body })));
      void client.invalidateQueries({ queryKey: sessionsQuery.queryKey });
      toast(t(me.user.has_password ? "account.passwordChanged" : "account.passwordSet"));
      close();
    } catch (problem) {
      setError(placeErrors(problem, ["current_password", "new_password"], form.setError));
    }
  });

  const action = t(me.user.has_password ? "account.changePassword" : "account.setPassword");
  if (!open) return <Button onClick={() => onOpen(true)}>{action}</Button>;
  return (
    <Form changed={isDirty} onSubmit={submit} className="flex max-w-sm flex-col gap-4">
      {error ? <ErrorBox error={error} /> : null}
      <input type="text" autoComplete="username" value={me.user.username} readOnly hidden />
      {me.user.has_password ? (
        <PasswordField
          label={t("account.currentPassword")}
          autoComplete="current-password"
          autoFocus
          error={errors.current_password?.message}
          {...form.register("current_password", { required: t("auth.passwordNeeded") })}
        />
      ) : null}
      <NewPasswordField
        label={t("password.new")}
        autoFocus={!me.user.has_password}
        typed={typed}
        username={me.user.username}
        error={errors.new_password?.message}
        {...form.register("new_password", {
          validate: (value) =>
            [...value].length >= PASSWORD_MIN || t("password.tooShort", { min: PASSWORD_MIN }),
        })}
      />
      <div className="flex gap-2">
        <Button type="submit" look="primary" busy={isSubmitting}>
          {action}
        </Button>
        <Cancel onClick={close} />
      </div>
    </Form>
  );
}
