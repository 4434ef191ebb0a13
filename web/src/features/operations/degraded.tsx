/** What does not work as it should, in whole sentences. */
import { CircleCheck, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { Degraded } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Time } from "#/ui/time";

export function DegradedList({ items }: { items: Degraded[] }) {
  const { t } = useTranslation();
  return (
    // Always there, so that a screen reader hears what comes into it.
    <div role="status">
      {items.length === 0 ? (
        <p className="flex items-center gap-2">
          <CircleCheck aria-hidden className="size-4 shrink-0 text-up-text" />
          {t("operations.fine")}
        </p>
      ) : (
        <ul className="flex flex-col gap-3">
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
              <Time at={one.since} />
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
