import { useEffect, useState } from "react";

const read = () => decodeURIComponent(location.hash.slice(1).replace(/%(?![0-9a-f]{2})/gi, "%25")).trim();

/**
 * The secret that a link carries in its fragment, which no server and no log ever sees. It leaves the address bar, and
 * with it the history, as soon as it is read. A second link opened in the same tab takes the first one's place.
 */
export function useFragmentSecret(): string {
  const [secret, setSecret] = useState(read);
  useEffect(() => {
    function taken() {
      const next = read();
      if (!next) return;
      setSecret(next);
      history.replaceState(history.state, "", location.pathname + location.search);
    }
    taken();
    addEventListener("hashchange", taken);
    return () => removeEventListener("hashchange", taken);
  }, []);
  return secret;
}
