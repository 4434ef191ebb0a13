import { useEffect, useState } from "react";
import type { Method } from "#/api/schema";

/**
 * What a link carries in its fragment, which no server and no log ever sees. It leaves the address bar, and with it the
 * history, as soon as it is read. A second link opened in the same tab takes the first one's place.
 */
function useFragment<T>(parse: (hash: string) => T | null): T | null {
  const [read] = useState(() => () => parse(location.hash.slice(1)));
  const [found, setFound] = useState(read);
  useEffect(() => {
    function taken() {
      const next = read();
      if (!next) return;
      setFound(next);
      history.replaceState(history.state, "", location.pathname + location.search);
    }
    taken();
    addEventListener("hashchange", taken);
    return () => removeEventListener("hashchange", taken);
  }, [read]);
  return found;
}

const secretIn = (hash: string) =>
  decodeURIComponent(hash.replace(/%(?![0-9a-f]{2})/gi, "%25")).trim() || null;

export function useFragmentSecret(): string {
  return useFragment(secretIn) ?? "";
}

/** The second step of signing in. */
export interface Step {
  token: string;
  methods: readonly Method[];
}

const known: readonly Method[] = ["totp", "passkey", "recovery_code"];

/** `mfa_token=…&methods=totp,recovery_code`: where the callback of a provider leaves a second factor to be asked for. */
export function stepIn(hash: string): Step | null {
  const given = new URLSearchParams(hash);
  const token = given.get("mfa_token")?.trim();
  if (!token) return null;
  const named = (given.get("methods") ?? "").split(",");
  const methods = known.filter((method) => named.includes(method));
  return { token, methods: methods.length > 0 ? methods : ["totp", "recovery_code"] };
}

export function useFragmentStep(): Step | null {
  return useFragment(stepIn);
}
