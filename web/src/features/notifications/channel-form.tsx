import { useEffect, useState } from "react";
import { useForm, useWatch } from "react-hook-form";
import { ApiError, http, ifMatch, take } from "#/api/client";
import type { Channel, ChannelKindDescription } from "#/api/schema";
import { placeErrors } from "#/domain/form-errors";
import { fieldsOf, isAsked } from "#/domain/kind-fields";
import { PublicInput, SecretInput, useRules } from "#/domain/kind-inputs";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { SelectField, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { FormError } from "#/ui/form-error";
import { toast } from "#/ui/toast";
import { type ChannelForm, formFields, severities, toBody, toForm } from "./channel-fields";
import { EventsField } from "./events-field";

interface Props {
  id: string;
  kind: ChannelKindDescription;
  channel?: Channel;
  writes: boolean;
  onBusy: (busy: boolean) => void;
  onSaved: (channel: Channel) => void;
}

export function ChannelFields({ id, kind, channel, writes, onBusy, onSaved }: Props) {
  const { t } = useTranslation();
  const rules = useRules();
  const [error, setError] = useState<unknown>(null);
  const [replacing, setReplacing] = useState(!channel);
  const form = useForm<ChannelForm>({ defaultValues: toForm(kind, channel) });
  const { errors, isDirty } = form.formState;
  const [values, everything] = useWatch({ control: form.control, name: ["public", "everything"] });
  const secrets = fieldsOf(kind.secret).filter((field) => isAsked(field, values));
  // What the server misses must be seen.
  const secretShown = replacing || !channel?.has_secret || !!errors.secret;

  const missed = errors.secret?.message !== undefined;
  const first = secrets[0]?.name;
  useEffect(() => {
    if (missed && first) form.setFocus(`secret.${first}`);
  }, [form, missed, first]);

  const submit = form.handleSubmit(async (typed) => {
    setError(null);
    onBusy(true);
    try {
      const any = secrets.some(({ name }) => typed.secret[name]);
      const body = toBody(kind, typed, replacing || (secretShown && any));
      const saved = channel
        ? await take(
            http.PATCH("/api/v1/channels/{id}", {
              params: { path: { id: channel.id } },
              headers: ifMatch(channel.version),
              body,
            }),
          )
        : await take(http.POST("/api/v1/channels", { body: { kind: kind.kind, ...body } }));
      toast(t("notification.saved", { name: saved.name }));
      onSaved(saved);
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 412)
        setError(new ApiError(412, { ...problem.problem, detail: t("form.stale") }));
      else setError(placeErrors(problem, formFields(kind), form.setError));
    } finally {
      onBusy(false);
    }
  });

  return (
    <Form changed={isDirty} id={id} onSubmit={submit} className="flex flex-col gap-4">
      <FormError error={error} />
      <fieldset disabled={!writes} className="flex flex-col gap-4">
        <TextField
          label={t("notification.name")}
          autoFocus={!channel}
          maxLength={100}
          error={errors.name?.message}
          {...form.register("name", { validate: (text) => text.trim() !== "" || t("form.required") })}
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
        {secrets.length === 0 || !(writes || channel?.has_secret) ? null : secretShown ? (
          <div className="flex flex-col gap-4">
            {typeof errors.secret?.message === "string" ? (
              <p role="alert" className="text-xs text-down-text">
                {t("channel.secretAgain", { reason: errors.secret.message })}
              </p>
            ) : null}
            {secrets.map((field) => (
              <SecretInput
                key={field.name}
                field={field}
                input={form.register(`secret.${field.name}`, rules(field))}
                error={errors.secret?.[field.name]?.message}
              />
            ))}
          </div>
        ) : (
          <div className="flex items-center justify-between gap-3">
            <span>
              <span className="block text-xs font-medium text-muted">{t("notification.secret")}</span>
              <span className="block">{t("channel.secretKept")}</span>
            </span>
            {writes ? <Button onClick={() => setReplacing(true)}>{t("channel.replace")}</Button> : null}
          </div>
        )}
        <EventsField
          everything={everything}
          all={form.register("everything")}
          some={form.register("events", {
            validate: (chosen, typed) =>
              typed.everything || chosen.length > 0 || t("notification.eventsNeeded"),
          })}
          error={errors.events?.message}
        />
        <SelectField
          label={t("channel.least")}
          error={errors.min_severity?.message}
          {...form.register("min_severity")}
        >
          {severities.map((severity) => (
            <option key={severity} value={severity}>
              {t(`notification.severity.${severity}`)}
            </option>
          ))}
        </SelectField>
        {kind.pin ? (
          <TextField
            label={t("notification.pin")}
            help={t("notification.pinHelp")}
            mono
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            error={errors.certificate_sha256?.message}
            {...form.register("certificate_sha256")}
          />
        ) : null}
      </fieldset>
    </Form>
  );
}
