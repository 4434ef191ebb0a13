import { ChevronDown } from "lucide-react";
import type { LinkEvidence } from "#/api/schema";
import { assetStatuses, StatusSign } from "#/domain/asset";
import { useTranslation } from "#/i18n";

const dashes: Record<LinkEvidence, string | undefined> = {
  measured: undefined,
  inferred: "7 5",
  assumed: "2 4",
  drawn: undefined,
};

function EvidenceLine({ evidence }: { evidence: LinkEvidence }) {
  return (
    <svg viewBox="0 0 32 8" aria-hidden="true" className="h-2 w-8 shrink-0 text-muted">
      {evidence === "drawn" ? (
        <path d="M0 2.2h32M0 5.8h32" stroke="currentColor" strokeWidth="1.3" />
      ) : (
        <path d="M0 4h32" stroke="currentColor" strokeWidth="1.6" strokeDasharray={dashes[evidence]} />
      )}
    </svg>
  );
}

export function Legend({ mayPin }: { mayPin: boolean }) {
  const { t } = useTranslation();
  return (
    <details className="group absolute bottom-3 left-3 max-w-[min(18rem,calc(100%-5rem))] rounded-lg border border-line bg-surface text-xs">
      <summary className="flex h-8 cursor-pointer list-none items-center gap-1.5 px-2.5 text-muted hover:text-ink">
        {t("map.legend")}
        <ChevronDown aria-hidden className="size-3.5 -rotate-180 group-open:rotate-0" />
      </summary>
      <div className="flex flex-wrap gap-x-6 gap-y-2 px-3 pb-3">
        <ul className="flex flex-col gap-1">
          {(Object.keys(dashes) as LinkEvidence[]).map((evidence) => (
            <li key={evidence} className="flex items-center gap-2">
              <EvidenceLine evidence={evidence} />
              {t(`evidence.${evidence}`)}
            </li>
          ))}
        </ul>
        <ul className="flex flex-col gap-1">
          {assetStatuses.map((status) => (
            <li key={status}>
              <StatusSign status={status} withText />
            </li>
          ))}
        </ul>
        <p className="w-full max-w-64 text-muted">{mayPin ? t("map.dragHint") : t("map.keys")}</p>
      </div>
    </details>
  );
}
