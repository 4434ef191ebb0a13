import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import type { Passkey } from "#/api/schema";
import { continueSession } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { CertificateNotice, makePasskey, refusalOf } from "#/domain/passkey";
import { deviceOf } from "#/domain/user-agent";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";

const NAME_MOST = 64;

export function NewPasskey({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (codes: readonly string[], name: string) => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const { client: browser, system } = deviceOf(navigator.userAgent);
  const form = useForm({
    defaultValues: {
      name: browser && system ? t("session.on", { client: browser, system }) : (system ?? browser ?? ""),
    },
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  const submit = form.handleSubmit(async ({ name }) => {
    setError(null);
    try {
      const begun = await take(http.POST("/api/v1/auth/passkeys/registration", {}));
      const body = {
        registration_token: begun.registration_token,
        name: name.trim(),
        credential: await makePasskey(begun),
      };
      const made = await take(http.POST("/api/v1/auth/passkeys", { body }));
      continueSession(client, made);
      onMade(made.recovery_codes, made.passkey.name);
    } catch (problem) {
      const refusal = refusalOf(problem);
      setError(refusal ? new Error(t(refusal)) : placeErrors(problem, ["name"], form.setError));
    }
  });
  return (
    <Dialog title={t("account.passkeyAdd")} description={t("account.passkeyAddText")} open onClose={onClose}>
      <Form changed={isDirty} onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <CertificateNotice />
        <TextField
          label={t("account.passkeyName")}
          help={t("account.passkeyNameHelp")}
          autoFocus
          maxLength={NAME_MOST}
          error={errors.name?.message}
          {...form.register("name", { validate: (text) => text.trim() !== "" || t("form.required") })}
        />
        <div className="flex gap-2">
          <Button type="submit" look="primary" busy={isSubmitting}>
            {t("account.passkeyMake")}
          </Button>
          <Cancel onClick={onClose} />
        </div>
      </Form>
    </Dialog>
  );
}

export function RenamePasskey({
  passkey,
  onDone,
}: {
  passkey: Passkey;
  onDone: (saved: boolean) => Promise<void>;
}) {
  const { t } = useTranslation();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: { name: passkey.name } });
  const { errors, isDirty, isSubmitting } = form.formState;
  const submit = form.handleSubmit(async ({ name }) => {
    setError(null);
    try {
      const params = { path: { id: passkey.id } };
      await take(http.PATCH("/api/v1/auth/passkeys/{id}", { params, body: { name: name.trim() } }));
      await onDone(true);
    } catch (problem) {
      setError(placeErrors(problem, ["name"], form.setError));
    }
  });
  return (
    <Form changed={isDirty} onSubmit={submit} className="flex min-w-0 flex-1 flex-wrap items-end gap-2">
      <TextField
        label={t("account.passkeyName")}
        className="min-w-40 flex-1"
        autoFocus
        maxLength={NAME_MOST}
        error={errors.name?.message}
        {...form.register("name", { validate: (text) => text.trim() !== "" || t("form.required") })}
      />
      <Button type="submit" look="primary" busy={isSubmitting}>
        {t("common.save")}
      </Button>
      <Cancel onClick={() => void onDone(false)} />
      {error ? <ErrorBox error={error} className="w-full" /> : null}
    </Form>
  );
}
