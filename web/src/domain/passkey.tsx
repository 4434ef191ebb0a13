/**
 * Passkeys (WebAuthn Level 3), the browser's side. What the server offers goes in, what it wants to see comes out, both as
 * JSON; nothing is understood here. Where the browser lacks the JSON forms, passkeys are not offered at all.
 */
import { Fingerprint } from "lucide-react";
import { useState } from "react";
import type { CredentialJson, PasskeyChallenge, PasskeyRegistration } from "#/api/schema";
import { useTranslation } from "#/i18n";
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
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options.publicKey as PublicKeyCredentialRequestOptionsJSON,
  );
  return { ...tokens, credential: toJson(await navigator.credentials.get({ publicKey, ...how })) };
}

export async function makePasskey({ options }: PasskeyRegistration): Promise<CredentialJson> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options.publicKey as PublicKeyCredentialCreationOptionsJSON,
  );
  return toJson(await navigator.credentials.create({ publicKey }));
}

/** The browser's refusals by name; it tells no more, so that no page can ask which passkeys there are. */
const refusals: Record<string, string> = {
  NotAllowedError: "passkey.cancelled",
  AbortError: "passkey.cancelled",
  InvalidStateError: "passkey.exists",
  SecurityError: "passkey.wrongName",
  NotSupportedError: "passkey.unsupported",
  ConstraintError: "passkey.unsupported",
};

/** The key of the words for what the browser refused; nothing for an error that is no refusal. */
export function refusalOf(error: unknown): string | undefined {
  return error instanceof DOMException ? refusals[error.name] : undefined;
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
    <Button {...rest} busy={busy} onClick={() => void run()}>
      <Fingerprint aria-hidden className="size-4" />
      {label}
    </Button>
  );
}
