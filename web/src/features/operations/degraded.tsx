/** What does not work as it should, in whole sentences. */
import { CircleCheck, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { Degraded } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Since } from "#/ui/time";
import { timeOf } from "./as-of";

interface DegradedListProps {
  items: Degraded[];
  /** When the list was read last, if it could not be read since. */
  stale?: number | null;
  /** Something is wrong with the database, which the list may not say yet. */
  trouble?: boolean;
}

/** It says that everything works only when nothing else is known. */
export function DegradedList({ items, stale = null, trouble = false }: DegradedListProps) {
  const { t } = useTranslation();
  const unsure =
    stale !== null
      ? t("operations.notRead", { time: timeOf(stale) })
      : trouble && !items.some(({ code }) => code === "storage" || code === "unread")
        ? t("operations.storageKnown")
        : null;
  return (
    // Always there, so that a screen reader hears what comes into it.
    <div role="status">
      {unsure !== null ? (
        <p className="flex items-center gap-2">
          <TriangleAlert aria-hidden className="size-4 shrink-0 text-degraded-text" />
          {unsure}
        </p>
      ) : null}
      {items.length === 0 ? (
        unsure === null ? (
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
