/** A channel as its form holds it, and as the server takes it. The fields of a kind come from its JSON schemas. */
import type { Channel, ChannelIn, ChannelKindDescription, NoticeKind, Severity } from "#/api/schema";
import { beginning, fieldsOf, filled, isAsked, type Values } from "#/domain/kind-fields";

export const severities = ["info", "warning", "critical"] as const satisfies Severity[];

export interface ChannelForm {
  name: string;
  public: Values;
  secret: Values;
  everything: boolean;
  events: NoticeKind[];
  min_severity: Severity;
  certificate_sha256: string;
}

export function toForm(kind: ChannelKindDescription, channel?: Channel): ChannelForm {
  return {
    name: channel?.name ?? "",
    public: beginning(fieldsOf(kind.public), channel?.public),
    // Write-only: what is kept is never shown.
    secret: beginning(fieldsOf(kind.secret)),
    everything: !channel || channel.events.length === 0,
    events: channel?.events ?? [],
    min_severity: channel?.min_severity ?? "info",
    certificate_sha256: channel?.certificate_sha256 ?? "",
  };
}

/** What is empty is left out. A secret goes along when all of it is given anew; with nothing typed that takes it away. */
export function toBody(
  kind: ChannelKindDescription,
  form: ChannelForm,
  withSecret: boolean,
): Omit<ChannelIn, "kind"> {
  const secrets = fieldsOf(kind.secret).filter((field) => isAsked(field, form.public));
  return {
    name: form.name.trim(),
    public: filled(fieldsOf(kind.public), form.public),
    events: form.everything ? [] : form.events.filter((kind) => kind !== "test"),
    min_severity: form.min_severity,
    ...(withSecret ? { secret: filled(secrets, form.secret) } : {}),
    ...(kind.pin ? { certificate_sha256: form.certificate_sha256.trim() || null } : {}),
  };
}

/** Which of the form's fields hold the server's reasons; the whole secret and the rest last. */
export function formFields(kind: ChannelKindDescription) {
  return [
    ...fieldsOf(kind.public).map(({ name }) => `public.${name}` as const),
    ...fieldsOf(kind.secret).map(({ name }) => `secret.${name}` as const),
    "name",
    "events",
    "min_severity",
    "certificate_sha256",
    "secret",
  ] as const;
}
