/** A credential as a form holds it, and as the server takes it. The fields of a kind come from its JSON schemas. */
import type { Credential, CredentialIn, CredentialKind, CredentialKindDescription } from "#/api/schema";

/** One property of a kind's schema. */
export interface KindField {
  name: string;
  title: string;
  help?: string;
  choices?: string[];
  lines: boolean;
  required: boolean;
  most: number;
}

interface Schema {
  properties?: Record<
    string,
    {
      title?: string;
      description?: string;
      enum?: string[];
      maxLength?: number;
      "x-lines"?: boolean;
    }
  >;
  required?: string[];
  "x-order"?: string[];
}

export function fieldsOf(schema: CredentialKindDescription["public"]): KindField[] {
  const { properties = {}, required = [], "x-order": order = Object.keys(properties) } = schema as Schema;
  return order.map((name) => ({
    name,
    title: properties[name]?.title ?? name,
    help: properties[name]?.description,
    choices: properties[name]?.enum,
    lines: properties[name]?.["x-lines"] ?? false,
    required: required.includes(name),
    most: properties[name]?.maxLength ?? 256,
  }));
}

/** A password of something that is switched off is not asked for. */
export function isAsked(field: KindField, values: Record<string, string>): boolean {
  return values[field.name.replace(/_password$/, "")] !== "none";
}

export interface CredentialForm {
  name: string;
  public: Record<string, string>;
  secret: Record<string, string>;
  hosts: string;
  certificate_sha256: string;
  host_key_sha256: string;
}

export function toForm(kind: CredentialKindDescription, credential?: Credential): CredentialForm {
  const shown = fieldsOf(kind.public).map((field): [string, string] => [
    field.name,
    credential?.public[field.name] ?? field.choices?.[0] ?? "",
  ]);
  return {
    name: credential?.name ?? "",
    public: Object.fromEntries(shown),
    // Write-only: what is kept is never shown.
    secret: Object.fromEntries(fieldsOf(kind.secret).map((field): [string, string] => [field.name, ""])),
    hosts: credential?.hosts.join("\n") ?? "",
    certificate_sha256: credential?.certificate_sha256 ?? "",
    host_key_sha256: credential?.host_key_sha256 ?? "",
  };
}

export function hostsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

type Body = Omit<CredentialIn, "kind">;

/** What is empty is left out; a secret only when it is typed. */
export function toBody(kind: CredentialKindDescription, form: CredentialForm, withSecret: boolean): Body {
  const filled = (values: Record<string, string>, asked: KindField[]) =>
    Object.fromEntries(
      asked.flatMap(({ name }) => {
        const text = values[name] ?? "";
        return text === "" ? [] : [[name, text] as const];
      }),
    );
  const secrets = fieldsOf(kind.secret).filter((field) => isAsked(field, form.public));
  return {
    name: form.name.trim(),
    public: filled(form.public, fieldsOf(kind.public)),
    hosts: hostsOf(form.hosts),
    ...(withSecret ? { secret: filled(form.secret, secrets) } : {}),
    ...(kind.pin === "certificate" ? { certificate_sha256: form.certificate_sha256.trim() || null } : {}),
    ...(kind.pin === "host_key" ? { host_key_sha256: form.host_key_sha256.trim() || null } : {}),
  };
}

/** Which of the form's fields hold the server's reasons; the whole secret and the rest last. */
export function formFields(kind: CredentialKindDescription) {
  return [
    ...fieldsOf(kind.public).map(({ name }) => `public.${name}` as const),
    ...fieldsOf(kind.secret).map(({ name }) => `secret.${name}` as const),
    "name",
    "hosts",
    "certificate_sha256",
    "host_key_sha256",
    "secret",
  ] as const;
}

/** Where a test goes unless somebody says otherwise: a range is nowhere in particular. */
export function firstHost(credential: Credential): string {
  return credential.hosts.find((host) => !host.includes("/")) ?? "";
}

export function usualPort(kind: CredentialKindDescription, credential: Credential): string {
  if (credential.public.transport === "http") return "80";
  return kind.default_port?.toString() ?? "";
}

export const kindOf = (kinds: CredentialKindDescription[], kind: CredentialKind) =>
  kinds.find((one) => one.kind === kind);
