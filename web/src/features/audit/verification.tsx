/** What the server found when it recomputed the chain, and what one can keep so that a later rewrite shows. */
import { Download, ShieldAlert, ShieldCheck, X } from "lucide-react";
import type { Verification as Verdict } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { buttonClass, IconButton } from "#/ui/button";
import { cx } from "#/ui/cx";
import { Time } from "#/ui/time";
import { CHECKPOINTS_HREF } from "./queries";

export function Verification({
  verdict,
  at,
  onClose,
}: {
  verdict: Verdict;
  at: number;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const Icon = verdict.ok ? ShieldCheck : ShieldAlert;
  return (
    <div
      role="status"
      className={cx("flex gap-3 border-b border-line px-4 py-3", verdict.ok ? "bg-surface" : "bg-down-soft")}
    >
      <Icon aria-hidden className={cx("size-5 shrink-0", verdict.ok ? "text-up-text" : "text-down-text")} />
      <div className="flex min-w-0 flex-1 flex-wrap items-start gap-x-8 gap-y-3">
        <div className="min-w-0 flex-1 basis-96">
          <p className="font-medium">
            {verdict.ok
              ? t("audit.ok", { count: verdict.entries })
              : verdict.broken_at === null
                ? t("audit.brokenAll", { reason: verdict.reason })
                : t("audit.broken", { seq: verdict.broken_at, reason: verdict.reason })}
          </p>
          {verdict.pruned_through ? (
            <p className="text-muted">{t("audit.pruned", { seq: verdict.pruned_through })}</p>
          ) : null}
          <dl className="mt-1 grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5 [&>dt]:text-muted">
            <dt>{t("audit.checkpoints")}</dt>
            <dd>{t("audit.heldAgainst", { count: verdict.checkpoints })}</dd>
            <dt>{t("audit.head")}</dt>
            <dd className="mono break-all select-all">{verdict.head}</dd>
            <dt>{t("audit.checked")}</dt>
            <dd>
              <Time at={new Date(at).toISOString()} />
            </dd>
          </dl>
        </div>
        <div className="flex max-w-md flex-1 basis-64 flex-col items-start gap-2">
          <p className="text-muted">{t("audit.checkpointsText")}</p>
          <a
            href={CHECKPOINTS_HREF}
            download="audit-log-checkpoints.json"
            className={buttonClass("plain", "h-7")}
          >
            <Download aria-hidden className="size-4" />
            {t("audit.checkpointsDownload")}
          </a>
        </div>
      </div>
      <IconButton label={t("audit.hide")} className="-mt-1 -mr-2" onClick={onClose}>
        <X aria-hidden className="size-4" />
      </IconButton>
    </div>
  );
}
