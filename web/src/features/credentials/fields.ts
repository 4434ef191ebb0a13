/** A credential as a form holds it, and as the server takes it. The fields of a kind come from its JSON schemas. */
import type { Credential, CredentialIn, CredentialKind, CredentialKindDescription } from "#/api/schema";
import { beginning, fieldsOf, filled, isAsked, type Values } from "#/domain/kind-fields";

export interface CredentialForm {
  name: string;
  public: Values;
  secret: Values;
  hosts: string;
  certificate_sha256: string;
  host_key_sha256: string;
}

export function toForm(kind: CredentialKindDescription, credential?: Credential): CredentialForm {
  return {
    name: credential?.name ?? "",
    public: beginning(fieldsOf(kind.public), credential?.public),
    // Write-only: what is kept is never shown.
    secret: beginning(fieldsOf(kind.secret)),
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
  const secrets = fieldsOf(kind.secret).filter((field) => isAsked(field, form.public));
  return {
    name: form.name.trim(),
    public: filled(fieldsOf(kind.public), form.public),
    hosts: hostsOf(form.hosts),
    ...(withSecret ? { secret: filled(secrets, form.secret) } : {}),
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
/** What one line of the hosts names: `nas.lan`, `nas.lan:8443`, `[fd00::5]:8000-8010`, `fd00::5`. */
export function destinationOf(line: string): { host: string; port: string } {
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+)(?:-\d+)?)?$/.exec(line) ?? [];
  return { host: bracketed ?? plain ?? line, port: port ?? "" };
}

/** The hosts that a test can name: ranges are not among them. */
export function singleHosts(credential: Credential): string[] {
  return [...new Set(credential.hosts.map((line) => destinationOf(line).host))].filter(
    (host) => !host.includes("/"),
  );
}

/** Where the secret may be sent at `host`: the port that is typed for it, else the usual one. */
export function portAt(kind: CredentialKindDescription, credential: Credential, host: string): string {
  const mine = credential.hosts.map(destinationOf).find((one) => one.host === host);
  if (mine?.port) return mine.port;
  if (credential.public.transport === "http") return "80";
  return kind.default_port?.toString() ?? "";
}

export const kindOf = (kinds: CredentialKindDescription[], kind: CredentialKind) =>
  kinds.find((one) => one.kind === kind);
