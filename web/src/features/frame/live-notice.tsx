/** The bar above every page while WebSockets do not get through. */
import { Unplug } from "lucide-react";
import { useAwaySince, useLiveState } from "#/api/hooks";
import { useTranslation } from "#/i18n";

export function LiveNotice() {
  const { t } = useTranslation();
  const away = useAwaySince() !== null;
  const blocked = useLiveState("discovery") === "blocked" && !away;
  return (
    // Always there, so that a screen reader hears what comes into it.
    <div role="status">
      {blocked ? (
        <div className="flex shrink-0 items-start gap-3 border-b border-line bg-down-soft px-4 py-2">
          <Unplug aria-hidden className="mt-0.5 size-4 shrink-0 text-down-text" />
          <p className="min-w-0 flex-1">
            <strong className="font-semibold">{t("frame.notLive")}</strong> {t("frame.notLiveWhy")}{" "}
            <code className="mono">{t("frame.notLiveMend")}</code>
          </p>
        </div>
      ) : null}
    </div>
  );
}
