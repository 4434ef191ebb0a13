/** What is shown while the server is away: the line above every page. */
import { Unplug } from "lucide-react";
import { useState } from "react";
import { reach } from "#/api/client";
import { useAwaySince } from "#/api/hooks";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";

/** The time of day, with the day when that is not today. */
function timeOf(since: number): string {
  const date = new Date(since);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(
    undefined,
    today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" },
  );
}

export function AwayNotice() {
  const { t } = useTranslation();
  const since = useAwaySince();
  const [asking, setAsking] = useState(false);
  const [was, setWas] = useState(false);
  if (since !== null && !was) setWas(true);
  async function look(): Promise<void> {
    setAsking(true);
    await reach.doubt();
    setAsking(false);
  }
  return (
    // Always there, so that a screen reader hears what comes into it, and that it has gone.
    <div role="status">
      {since === null ? (
        was ? (
          <span className="sr-only">{t("away.back")}</span>
        ) : null
      ) : (
        <div className="flex shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-down-soft px-4 py-2">
          <Unplug aria-hidden className="size-4 shrink-0 text-down-text" />
          <p className="min-w-0 flex-1 basis-64">
            <strong className="font-semibold">{t("away.title", { time: timeOf(since) })}</strong>{" "}
            {t("away.text")}
          </p>
          <Button busy={asking} onClick={() => void look()}>
            {t("away.now")}
          </Button>
        </div>
      )}
    </div>
  );
}
