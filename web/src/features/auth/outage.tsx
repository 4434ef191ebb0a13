/** In place of a page that cannot be opened, because the server cannot say who is there. It opens by itself when the server can. */
import { CloudOff } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, reach } from "#/api/client";
import { isOutage, OUTAGE_WAIT_MAX_MS } from "#/api/outage";
import { retryWait } from "#/api/reach";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { AuthShell } from "./shell";

interface OutageProps {
  error: unknown;
  /** Asks the server again for what did not come. */
  ask: () => Promise<unknown>;
  /** The server has answered, whatever it said. */
  onAnswer: () => void;
}

export function OutagePage({ error, ask, onAnswer }: OutageProps) {
  const { t } = useTranslation();
  const [failed, setFailed] = useState(error);
  const [attempt, setAttempt] = useState(0);
  const [asking, setAsking] = useState(false);
  const under = useRef(false);
  const latest = useRef({ ask, onAnswer });
  useEffect(() => {
    latest.current = { ask, onAnswer };
  });
  const look = useCallback(async () => {
    if (under.current) return;
    under.current = true;
    try {
      await latest.current.ask();
      latest.current.onAnswer();
    } catch (again) {
      if (!isOutage(again)) latest.current.onAnswer();
      else setFailed(again);
    } finally {
      under.current = false;
      setAttempt((count) => count + 1);
    }
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => void look(), retryWait(attempt, Math.random, OUTAGE_WAIT_MAX_MS));
    // The server itself was away, and is back.
    const unwatch = reach.watch(() => {
      if (reach.awaySince() === null) void look();
    });
    return () => {
      clearTimeout(timer);
      unwatch();
    };
  }, [attempt, look]);
  // One request may have run into a busy database and the next one into one that is away. To this page it is the same.
  const database = failed instanceof ApiError && failed.problem.type === "/problems/unavailable";
  const why = database ? t("outage.database") : failed instanceof Error ? failed.message : null;
  return (
    <AuthShell title={t("outage.title")} lead={<span role="alert">{why}</span>} wide>
      <p className="flex gap-2.5">
        <CloudOff aria-hidden className="mt-0.5 size-4 shrink-0 text-muted" />
        <span className="min-w-0">{t("outage.text")}</span>
      </p>
      <Button
        className="mt-4"
        busy={asking}
        onClick={() => {
          setAsking(true);
          void look().finally(() => setAsking(false));
        }}
      >
        {t("away.now")}
      </Button>
    </AuthShell>
  );
}
