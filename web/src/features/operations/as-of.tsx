/** Above what was read before: of when it is, while it cannot be read again. */
import { useAwaySince } from "#/api/hooks";
import { useTranslation } from "#/i18n";

interface Read {
  error: unknown;
  dataUpdatedAt: number;
}

/** When it was read last, if it could not be read since. */
export function useStale({ error, dataUpdatedAt }: Read): number | null {
  const away = useAwaySince() !== null;
  return dataUpdatedAt > 0 && (error || away) ? dataUpdatedAt : null;
}

export function AsOf({ read }: { read: Read }) {
  const { t } = useTranslation();
  const at = useStale(read);
  return at === null ? null : (
    <p className="mb-2 text-xs text-degraded-text">{t("operations.asOf", { time: timeOf(at) })}</p>
  );
}

export function timeOf(at: number): string {
  return new Date(at).toLocaleTimeString(undefined, { timeStyle: "medium" });
}
