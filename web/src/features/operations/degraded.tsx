/** What does not work as it should, in whole sentences. */
import { CircleCheck, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { Degraded } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Since } from "#/ui/time";
import { timeOf } from "./as-of";

/** `stale`: when the list was read last, if it could not be read since. Then it does not say that everything works. */
export function DegradedList({ items, stale = null }: { items: Degraded[]; stale?: number | null }) {
  const { t } = useTranslation();
  return (
    // Always there, so that a screen reader hears what comes into it.
    <div role="status">
      {stale !== null ? (
        <p className="flex items-center gap-2">
          <TriangleAlert aria-hidden className="size-4 shrink-0 text-degraded-text" />
          {t("operations.notRead", { time: timeOf(stale) })}
        </p>
      ) : null}
      {items.length === 0 ? (
        stale === null ? (
          <p className="flex items-center gap-2">
            <CircleCheck aria-hidden className="size-4 shrink-0 text-up-text" />
            {t("operations.fine")}
          </p>
        ) : null
      ) : (
        <ul className="mt-3 flex flex-col gap-3 first:mt-0">
          {items.map((one) => (
            <One key={`${one.work} ${one.what}`} one={one} />
          ))}
        </ul>
      )}
    </div>
  );
}

function One({ one }: { one: Degraded }) {
  const { t } = useTranslation();
  return (
    <li className="flex gap-2.5 rounded-md border border-degraded/50 bg-sunken p-3">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-degraded-text" />
      <div className="min-w-0 flex-1">
        <p className="font-medium">
          {one.what}
          {one.work ? ` ${t(`operations.work.${one.work}`)}.` : null}
        </p>
        <dl className="mt-1.5 flex flex-col gap-1.5">
          {one.why ? <Part name={t("operations.why")}>{one.why}</Part> : null}
          <Part name={t("operations.means")}>{one.means}</Part>
          <Part name={t("operations.fix")}>{one.fix}</Part>
          {one.since ? (
            <Part name={t("operations.since")}>
              <Since at={one.since} />
            </Part>
          ) : null}
        </dl>
      </div>
    </li>
  );
}

function Part({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="gap-x-3 sm:grid sm:grid-cols-[9rem_1fr]">
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </div>
  );
}
