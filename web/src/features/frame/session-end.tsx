/** A session ends for good thirty days after it began. Said a little before, so that nobody is thrown out while typing. */
import { Link, useLocation } from "@tanstack/react-router";
import { Hourglass } from "lucide-react";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { buttonClass } from "#/ui/button";
import { useNow } from "#/ui/time";

const BEFORE_MS = 5 * 60_000;

export function SessionEnd() {
  const { t } = useTranslation();
  const { me } = useAuth();
  const now = useNow();
  const { href } = useLocation();
  const end = new Date(me.session_expires_at);
  // Also false for a date that is none.
  if (!(end.getTime() - now <= BEFORE_MS)) return null;
  return (
    <div
      role="status"
      className="flex shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-accent-soft px-4 py-1.5"
    >
      <Hourglass aria-hidden className="size-4 shrink-0 text-accent-text" />
      <span className="min-w-0 flex-1">
        {t("frame.sessionEnds", { time: end.toLocaleTimeString(undefined, { timeStyle: "short" }) })}
      </span>
      <Link to="/login" search={{ next: href }} className={buttonClass("plain", "h-7")}>
        {t("frame.signInAgain")}
      </Link>
    </div>
  );
}
