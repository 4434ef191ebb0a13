import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import type { Role } from "#/api/schema";
import { placeErrors } from "#/domain/form-errors";
import { NewPasswordField } from "#/domain/new-password";
import { PASSWORD_MIN } from "#/domain/password";
import { roles } from "#/domain/roles";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { SelectField, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { Panel } from "#/ui/panel";
import { usersKey } from "./queries";

export function NewUserPanel({ onClose, onMade }: { onClose: () => void; onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({
    defaultValues: { username: "", email: "", role: "viewer" as Role, password: "" },
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  const [username, password, role] = form.watch(["username", "password", "role"]);
  const submit = form.handleSubmit(async (values) => {
    setError(null);
    const body = { ...values, username: values.username.trim(), email: values.email.trim() || null };
    try {
      const user = await take(http.POST("/api/v1/users", { body }));
      await client.invalidateQueries({ queryKey: usersKey });
      onMade(user.id);
    } catch (problem) {
      setError(placeErrors(problem, ["username", "email", "role", "password"], form.setError));
    }
  });
  return (
    <Panel
      title={t("users.add")}
      onClose={onClose}
      footer={
        <>
          <Button look="primary" type="submit" form="user-form" busy={isSubmitting}>
            {t("users.create")}
          </Button>
          <Cancel onClick={onClose} />
        </>
      }
    >
      <Form changed={isDirty} id="user-form" onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <p className="text-muted">{t("users.addText")}</p>
        <TextField
          label={t("auth.username")}
          autoFocus
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          error={errors.username?.message}
          {...form.register("username", {
            validate: (value) => value.trim() !== "" || t("form.required"),
          })}
        />
        <NewPasswordField
          label={t("auth.password")}
          typed={password}
          username={username}
          error={errors.password?.message}
          {...form.register("password", {
            validate: (value) =>
              [...value].length >= PASSWORD_MIN || t("password.tooShort", { min: PASSWORD_MIN }),
          })}
        />
        <SelectField
          label={t("users.role")}
          help={t(`roleText.${role}`)}
          error={errors.role?.message}
          {...form.register("role")}
        >
          {roles.map((one) => (
            <option key={one} value={one}>
              {t(`roles.${one}`)}
            </option>
          ))}
        </SelectField>
        <TextField
          label={t("common.email")}
          optional
          type="email"
          autoComplete="off"
          error={errors.email?.message}
          {...form.register("email")}
        />
      </Form>
    </Panel>
  );
}
