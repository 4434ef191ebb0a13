import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useForm, useWatch } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import type { Channel, ChannelKindDescription } from "#/api/schema";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { fieldsOf, isAsked } from "#/domain/kind-fields";
import { PublicInput, SecretInput, useParts, useRules } from "#/domain/kind-inputs";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { SelectField, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";
import { type ChannelForm, formFields, severities, toBody, toForm } from "./channel-fields";
import { EventsField, useEventsText } from "./events-field";
import { channelQuery } from "./queries";

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
  const client = useQueryClient();
  const eventsText = useEventsText();
  const parts = useParts();
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

  const edit = useEdit({
    form,
    of: channel,
    read: ({ id: one }) => client.fetchQuery({ ...channelQuery(one), staleTime: 0 }),
    toForm: (one) => toForm(kind, one),
    fields: {
      name: { label: t("notification.name") },
      public: { parts: parts(kind.public) },
      secret: { label: t("notification.secret"), secret: true },
      events: {
        label: t("notification.events"),
        text: (typed) => eventsText(toBody(kind, typed, false).events ?? []),
      },
      everything: { with: "events" },
      min_severity: {
        label: t("channel.least"),
        text: ({ min_severity }) => t(`notification.severity.${min_severity}`),
      },
      certificate_sha256: { label: t("notification.pin") },
    },
    send: (typed, held) => {
      const any = secrets.some(({ name }) => typed.secret[name]);
      const body = toBody(kind, typed, replacing || (secretShown && any));
      return held
        ? take(
            http.PATCH("/api/v1/channels/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body,
            }),
          )
        : take(http.POST("/api/v1/channels", { body: { kind: kind.kind, ...body } }));
    },
    done: (saved) => {
      toast(t("notification.saved", { name: saved.name }));
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
                values={values}
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
            optional
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
