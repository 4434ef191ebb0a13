import type { VaultKey } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Badge } from "#/ui/feedback";
import { Day } from "#/ui/time";

/** Every key that is kept, the newest first. */
export function History({ keys }: { keys: readonly VaultKey[] }) {
  const { t } = useTranslation();
  return (
    <ul className="divide-y divide-line border-y border-line">
      {keys.map((key) => (
        <li key={key.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 py-2">
          <span className="mono w-20 text-muted" title={key.id}>
            {key.id.slice(-8)}
          </span>
          <span className="min-w-44 flex-1">
            <Day at={key.created_at} />
            {" – "}
            {key.retired_at ? <Day at={key.retired_at} /> : <Badge tone="up">{t("vault.seals")}</Badge>}
          </span>
          <span className="text-muted">{t("vault.secrets", { count: key.secrets })}</span>
          {key.kept_until ? (
            <span className="text-xs text-muted">
              {t("vault.keptUntil")} <Day at={key.kept_until} />
            </span>
          ) : null}
        </li>
      ))}
    </ul>
  );
}
