/** The database does not have the log that this server has signed: what happened, and what to do about it. */
import { ShieldAlert } from "lucide-react";
import type { Checkpoint } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Time } from "#/ui/time";

export function Contradiction({ signed }: { signed: Checkpoint }) {
  const { t } = useTranslation();
  return (
    <div role="alert" className="flex gap-3 border-b border-line bg-down-soft px-4 py-3">
      <ShieldAlert aria-hidden className="size-5 shrink-0 text-down-text" />
      <div className="min-w-0 max-w-3xl">
        <p className="font-medium">{t("audit.contradicted", { seq: signed.seq })}</p>
        <p className="text-muted">
          {t("audit.contradictedWhen")} <Time at={signed.at} />. {t("audit.contradictedText")}
        </p>
        <p className="mt-1">
          {t("audit.contradictedMend")} <code className="mono select-all">cb audit-log accept-restore</code>
        </p>
      </div>
    </div>
  );
}
