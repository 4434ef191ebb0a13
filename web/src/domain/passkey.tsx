/**
 * Passkeys (WebAuthn Level 3), the browser's side. What the server offers goes in, what it wants to see comes out, both as
 * JSON; nothing is understood here. Where the browser lacks the JSON forms, passkeys are not offered at all.
 */
import { Fingerprint } from "lucide-react";
import { useEffect, useState } from "react";
import type { CredentialJson, PasskeyChallenge, PasskeyRegistration } from "#/api/schema";
import { type Key, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";

export function passkeysWork(): boolean {
  return typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function";
}

/** What goes to the server: whatever token came with the challenge, and the passkey. */
export type ShownPasskey = Omit<PasskeyChallenge, "options"> & { credential: CredentialJson };

function toJson(credential: Credential | null): CredentialJson {
  if (!(credential instanceof PublicKeyCredential)) throw new DOMException("", "NotAllowedError");
  return { ...credential.toJSON() };
}

export async function showPasskey(
  { options, ...tokens }: PasskeyChallenge,
  how: Pick<CredentialRequestOptions, "mediation" | "signal"> = {},
): Promise<ShownPasskey> {
  probe.abort();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options.publicKey as PublicKeyCredentialRequestOptionsJSON,
  );
  return { ...tokens, credential: toJson(await navigator.credentials.get({ publicKey, ...how })) };
}

export async function makePasskey({ options }: PasskeyRegistration): Promise<CredentialJson> {
  probe.abort();
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options.publicKey as PublicKeyCredentialCreationOptionsJSON,
  );
  return toJson(await navigator.credentials.create({ publicKey }));
}

/** Chromium's words where it does not trust the certificate; by name it is one refusal among others. */
const UNTRUSTED = /certificate/i;

/** A browser answers one question at a time: whoever asks in earnest takes this one back. */
const probe = new AbortController();
let trust: Promise<boolean> | undefined;

/**
 * Whether this browser gives no passkeys because it does not trust the server's certificate. Asks for one without showing
 * anything, once, and takes the question back; a refusal comes at once.
 */
function isCertificateTrusted(): Promise<boolean> {
  trust ??= askQuietly();
  return trust;
}

async function askQuietly(): Promise<boolean> {
  if (!passkeysWork() || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return true;
  setTimeout(() => probe.abort(), 100);
  const publicKey = { challenge: crypto.getRandomValues(new Uint8Array(32)) };
  try {
    await navigator.credentials.get({ publicKey, mediation: "conditional", signal: probe.signal });
  } catch (error) {
    return !(error instanceof DOMException && error.name !== "AbortError" && UNTRUSTED.test(error.message));
  }
  return true;
}

/** Says so before a button that would only fail. */
export function CertificateNotice() {
  const { t } = useTranslation();
  const [trusted, setTrusted] = useState(true);
  useEffect(() => {
    let here = true;
    void isCertificateTrusted().then((is) => here && setTrusted(is));
    return () => {
      here = false;
    };
  }, []);
  if (trusted) return null;
  return (
    <p role="status" className="text-sm text-muted">
      {t("passkey.untrusted")}{" "}
      <a
        href="/ca.crt"
        download="circuit-breaker-ca.crt"
        className="text-accent-text underline underline-offset-2"
      >
        {t("auth.caDownload")}
      </a>
    </p>
  );
}

/** The browser's refusals by name; it tells no more, so that no page can ask which passkeys there are. */
const refusals: Record<string, Key> = {
  NotAllowedError: "passkey.cancelled",
  AbortError: "passkey.cancelled",
  InvalidStateError: "passkey.exists",
  SecurityError: "passkey.wrongName",
  NotSupportedError: "passkey.unsupported",
  ConstraintError: "passkey.unsupported",
};

/** The key of the words for what the browser refused; nothing for an error that is no refusal. */
export function refusalOf(error: unknown): Key | undefined {
  if (!(error instanceof DOMException)) return undefined;
  if (error.name === "NotAllowedError" && UNTRUSTED.test(error.message)) return "passkey.untrusted";
  return refusals[error.name];
}

interface PasskeyButtonProps {
  label: string;
  look?: "primary" | "plain";
  autoFocus?: boolean;
  className?: string;
  /** What the server wants to be shown. */
  ask: () => Promise<PasskeyChallenge>;
  send: (shown: ShownPasskey) => Promise<void>;
  /** Told with nothing when it begins anew. */
  onError: (error: unknown) => void;
}

export function PasskeyButton({ label, ask, send, onError, ...rest }: PasskeyButtonProps) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  async function run(): Promise<void> {
    setBusy(true);
    onError(null);
    try {
      await send(await showPasskey(await ask()));
    } catch (error) {
      const refusal = refusalOf(error);
      onError(refusal ? new Error(t(refusal)) : error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <CertificateNotice />
      <Button {...rest} busy={busy} onClick={() => void run()}>
        <Fingerprint aria-hidden className="size-4" />
        {label}
      </Button>
    </>
  );
}
