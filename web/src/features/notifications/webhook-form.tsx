import { useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import type { Webhook } from "#/api/schema";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { useTranslation } from "#/i18n";
import { TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { toast } from "#/ui/toast";
import { EventsField, useEventsText } from "./events-field";
import { webhookQuery } from "./queries";
import { isElsewhere, toBody, toForm, type WebhookForm, webhookFields } from "./webhook-fields";

interface Props {
  id: string;
  webhook?: Webhook;
  writes: boolean;
  onBusy: (busy: boolean) => void;
  onSaved: (webhook: Webhook) => void;
}

export function WebhookFields({ id, webhook, writes, onBusy, onSaved }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const eventsText = useEventsText();
  const form = useForm<WebhookForm>({ defaultValues: toForm(webhook) });
  const { errors, isDirty } = form.formState;
  const [url, everything] = form.watch(["url", "everything"]);
  const needed = (text: string) => text.trim() !== "" || t("form.required");

  const edit = useEdit({
    form,
    of: webhook,
    read: ({ id: one }) => client.fetchQuery({ ...webhookQuery(one), staleTime: 0 }),
    toForm,
    fields: {
      name: { label: t("notification.name") },
      url: { label: t("webhook.url") },
      events: { label: t("notification.events"), text: (values) => eventsText(toBody(values).events ?? []) },
      everything: { with: "events" },
      certificate_sha256: { label: t("notification.pin") },
    },
    send: (typed, held) => {
      const body = toBody(typed);
      return held
        ? take(
            http.PATCH("/api/v1/webhooks/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body,
            }),
          )
        : take(http.POST("/api/v1/webhooks", { body }));
    },
    done: (saved) => {
      toast(t("notification.saved", { name: saved.name }));
      onSaved(saved);
    },
    places: webhookFields,
    onBusy,
  });

  return (
    <Form changed={isDirty} id={id} onSubmit={edit.submit} className="flex flex-col gap-4">
      <EditTrouble edit={edit} />
      <fieldset disabled={!writes} className="flex flex-col gap-4">
        <TextField
          label={t("notification.name")}
          autoFocus={!webhook}
          maxLength={100}
          error={errors.name?.message}
          {...form.register("name", { validate: needed })}
        />
        <TextField
          label={t("webhook.url")}
          help={t(webhook && isElsewhere(url, webhook) ? "webhook.urlElsewhere" : "webhook.urlHelp")}
          mono
          type="url"
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          placeholder="https://receiver.lan/hooks"
          error={errors.url?.message}
          {...form.register("url", { validate: needed })}
        />
        <EventsField
          everything={everything}
          all={form.register("everything")}
          some={form.register("events", {
            validate: (chosen, values) =>
              values.everything || chosen.length > 0 || t("notification.eventsNeeded"),
          })}
          error={errors.events?.message}
        />
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
      </fieldset>
    </Form>
  );
}
