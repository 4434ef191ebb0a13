/**
 * A session ends for good thirty days after it began. Said a little before, so that nobody is thrown out while typing. When it has
 * ended while something typed would be lost, the page stays and asks to sign in beside it.
 */
import { Link, useLocation, useNavigate } from "@tanstack/react-router";
import { Hourglass } from "lucide-react";
import { useEffect, useRef } from "react";
import { doubtSession } from "#/api/client";
import { setEnded, useAuth, useEnded } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { forget } from "#/ui/guard";
import { useNow } from "#/ui/time";
import { toast } from "#/ui/toast";

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

/** Signing in happens in another tab, by whatever way: the cookie is shared. */
export function SessionEnded() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { href } = useLocation();
  const ended = useEnded();
  useEffect(() => {
    if (!ended) return;
    function look() {
      if (document.visibilityState === "visible") void doubtSession();
    }
    addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      removeEventListener("focus", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, [ended]);
  const before = useRef(ended);
  const dismissed = useRef(false);
  useEffect(() => {
    if (before.current && !ended && !dismissed.current) toast(t("frame.signedInAgain"));
    before.current = ended;
    dismissed.current = false;
  }, [ended, t]);
  function dismiss() {
    dismissed.current = true;
    setEnded(false);
  }
  return (
    <Dialog title={t("frame.ended")} description={t("frame.endedText")} open={ended} onClose={dismiss}>
      <div className="flex flex-wrap gap-2">
        <a href="/login" target="_blank" rel="noreferrer" className={buttonClass("primary")}>
          {t("frame.signInBeside")}
        </a>
        <Button
          look="danger"
          onClick={() => {
            forget();
            dismiss();
            void navigate({ to: "/login", search: { next: href } });
          }}
        >
          {t("guard.discard")}
        </Button>
      </div>
    </Dialog>
  );
}
