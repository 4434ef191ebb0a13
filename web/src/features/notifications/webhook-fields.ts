/** A webhook as its form holds it, and as the server takes it. */
import type { NoticeKind, Webhook, WebhookIn } from "#/api/schema";

export interface WebhookForm {
  name: string;
  url: string;
  everything: boolean;
  events: NoticeKind[];
  certificate_sha256: string;
}

export const webhookFields = ["name", "url", "events", "certificate_sha256"] as const;

export function toForm(webhook?: Webhook): WebhookForm {
  return {
    name: webhook?.name ?? "",
    url: webhook?.url ?? "",
    // No kind named is every kind, those to come included.
    everything: !webhook || webhook.events.length === 0,
    events: webhook?.events ?? [],
    certificate_sha256: webhook?.certificate_sha256 ?? "",
  };
}

export function toBody(form: WebhookForm): WebhookIn {
  return {
    name: form.name.trim(),
    url: form.url.trim(),
    events: form.everything ? [] : form.events.filter((kind) => kind !== "test"),
    certificate_sha256: form.certificate_sha256.trim() || null,
  };
}

const originOf = (url: string) => (URL.canParse(url) ? new URL(url).origin : undefined);

/** Another origin makes the server choose a new secret, so that nothing signed with the old one goes elsewhere. */
export function isElsewhere(typed: string, webhook: Webhook): boolean {
  const origin = originOf(typed.trim());
  return origin !== undefined && origin !== originOf(webhook.url);
}
