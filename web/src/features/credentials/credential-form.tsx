import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useForm, useWatch } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import type { Credential, CredentialKindDescription } from "#/api/schema";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { fieldsOf, isAsked } from "#/domain/kind-fields";
import { PublicInput, SecretInput, useParts, useRules } from "#/domain/kind-inputs";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { TextArea, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { type CredentialForm, formFields, hostsOf, toBody, toForm } from "./fields";
import { credentialQuery, credentialsKey } from "./queries";

interface Props {
  id: string;
  kind: CredentialKindDescription;
  credential?: Credential;
  /** A fingerprint to be trusted from now on. */
  trusted?: string;
  writes: boolean;
  onBusy: (busy: boolean) => void;
  onSaved: (credential: Credential) => void;
}

export function CredentialFields({ id, kind, credential, trusted, writes, onBusy, onSaved }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const parts = useParts();
  const [replacing, setReplacing] = useState(!credential || trusted !== undefined);
  const begin = toForm(kind, credential);
  if (trusted && kind.pin) begin[pinField(kind.pin)] = trusted;
  const form = useForm<CredentialForm>({ defaultValues: begin });
  const { errors, isDirty } = form.formState;
  const rules = useRules();
  const needed = (text: string) => text.trim() !== "" || t("form.required");
  const values = useWatch({ control: form.control, name: "public" });
  const secrets = fieldsOf(kind.secret).filter((field) => isAsked(field, values));
  // What the server misses must be seen.
  const secretShown = replacing || !!errors.secret;

  const missed = errors.secret?.message !== undefined;
  const first = secrets[0]?.name;
  useEffect(() => {
    if (missed && first) form.setFocus(`secret.${first}`);
  }, [form, missed, first]);

  const edit = useEdit({
    form,
    of: credential,
    read: ({ id: one }) => client.fetchQuery({ ...credentialQuery(one), staleTime: 0 }),
    toForm: (one) => toForm(kind, one),
    fields: {
      name: { label: t("credential.name") },
      public: { parts: parts(kind.public) },
      secret: { label: t("credential.secret"), secret: true, changedAt: (one) => one.secret_changed_at },
      hosts: { label: t("credential.hosts") },
      certificate_sha256: { label: t("credential.pin.certificate") },
      host_key_sha256: { label: t("credential.pin.host_key") },
    },
    send: (typed, held) => {
      const body = toBody(kind, typed, secretShown);
      return held
        ? take(
            http.PATCH("/api/v1/credentials/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body,
            }),
          )
        : take(http.POST("/api/v1/credentials", { body: { kind: kind.kind, ...body } }));
    },
    done: (saved) => {
      toast(t("credential.saved", { name: saved.name }));
      client.setQueryData(credentialQuery(saved.id).queryKey, saved);
      void client.invalidateQueries({ queryKey: credentialsKey });
      onSaved(saved);
    },
    places: formFields(kind),
    onBusy,
  });

  return (
    <Form changed={isDirty} id={id} onSubmit={edit.submit} className="flex flex-col gap-4">
      <EditTrouble edit={edit} />
      <fieldset disabled={!writes} className="flex flex-col gap-4">
        <TextField
          label={t("credential.name")}
          autoFocus={!credential}
          error={errors.name?.message}
          {...form.register("name", { validate: needed })}
        />
        {fieldsOf(kind.public).map((field) => (
          <PublicInput
            key={field.name}
            field={field}
            values={values}
            input={form.register(`public.${field.name}`, rules(field))}
            error={errors.public?.[field.name]?.message}
          />
        ))}
        {secrets.length === 0 ? null : secretShown ? (
          <div className="flex flex-col gap-4">
            {errors.secret?.message || trusted ? (
              <p role="alert" className="text-xs text-down-text">
                {typeof errors.secret?.message === "string"
                  ? t("credential.secretAgain", { reason: errors.secret.message })
                  : t("credential.trustHelp")}
              </p>
            ) : null}
            {secrets.map((field, at) => (
              <SecretInput
                key={field.name}
                field={field}
                values={values}
                input={form.register(`secret.${field.name}`, rules(field))}
                error={errors.secret?.[field.name]?.message}
                autoFocus={!!trusted && at === 0}
              />
            ))}
          </div>
        ) : (
          <div className="flex items-center justify-between gap-3">
            <span>
              <span className="block text-xs font-medium text-muted">{t("credential.secret")}</span>
              <span className="block">
                {t("credential.secretKept")} <Time at={credential?.secret_changed_at} />
              </span>
            </span>
            {writes ? <Button onClick={() => setReplacing(true)}>{t("credential.replace")}</Button> : null}
          </div>
        )}
        <TextArea
          label={t("credential.hosts")}
          help={t("credential.hostsHelp")}
          mono
          rows={3}
          autoCapitalize="off"
          spellCheck={false}
          placeholder={"10.0.0.5\nnas.lan\n10.0.10.0/24"}
          error={errors.hosts?.message}
          {...form.register("hosts", { validate: (text) => hostsOf(text).length > 0 || t("form.required") })}
        />
        {kind.pin ? (
          <TextField
            label={t(`credential.pin.${kind.pin}`)}
            optional
            help={t(`credential.pinHelp.${kind.pin}`)}
            mono
            autoCapitalize="off"
            spellCheck={false}
            error={errors[pinField(kind.pin)]?.message}
            {...form.register(pinField(kind.pin))}
          />
        ) : null}
      </fieldset>
    </Form>
  );
}

function pinField(pin: NonNullable<CredentialKindDescription["pin"]>) {
  return pin === "certificate" ? "certificate_sha256" : "host_key_sha256";
}
