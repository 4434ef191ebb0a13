import { useState } from "react";
import { useForm } from "react-hook-form";
import { ApiError, http, ifMatch, take } from "#/api/client";
import type { Webhook } from "#/api/schema";
import { placeErrors } from "#/domain/form-errors";
import { useTranslation } from "#/i18n";
import { TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { FormError } from "#/ui/form-error";
import { toast } from "#/ui/toast";
import { EventsField } from "./events-field";
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
  const [error, setError] = useState<unknown>(null);
  const form = useForm<WebhookForm>({ defaultValues: toForm(webhook) });
  const { errors, isDirty } = form.formState;
  const [url, everything] = form.watch(["url", "everything"]);
  const needed = (text: string) => text.trim() !== "" || t("form.required");

  const submit = form.handleSubmit(async (typed) => {
    setError(null);
    onBusy(true);
    try {
      const body = toBody(typed);
      const saved = webhook
        ? await take(
            http.PATCH("/api/v1/webhooks/{id}", {
              params: { path: { id: webhook.id } },
              headers: ifMatch(webhook.version),
              body,
            }),
          )
        : await take(http.POST("/api/v1/webhooks", { body }));
      toast(t("notification.saved", { name: saved.name }));
      onSaved(saved);
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 412)
        setError(new ApiError(412, { ...problem.problem, detail: t("form.stale") }));
      else setError(placeErrors(problem, webhookFields, form.setError));
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
