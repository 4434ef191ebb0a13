/** What the servers do again and again without being asked, and how that went. */
import { useQuery } from "@tanstack/react-query";
import { periodicQuery } from "#/api/queries";
import type { PeriodicWork } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Block } from "#/ui/page";
import { Moment, Time, useNow } from "#/ui/time";
import { AsOf } from "./as-of";
import { duration, interval } from "./duration";

/** A server that begins a little later than planned is not late. */
const LATE_MS = 120_000;

export function Periodic() {
  const { t } = useTranslation();
  const read = useQuery(periodicQuery);
  const { data, error, refetch } = read;
  const together = data?.items.filter(({ who }) => who === "one") ?? [];
  const alone = data?.items.filter(({ who }) => who !== "one") ?? [];
  return (
    <Block title={t("operations.periodic")} text={t("operations.periodicText")}>
      {data ? (
        <>
          <AsOf read={read} />
          <Works works={together} />
          <h3 className="mt-5 font-medium">{t("operations.onEach")}</h3>
          <p className="mt-0.5 mb-3 text-muted">{t("operations.each")}</p>
          <Works works={alone} />
        </>
      ) : error ? (
        <ErrorBox error={error} retry={() => void refetch()} />
      ) : (
        <SkeletonLines lines={8} />
      )}
    </Block>
  );
}

function Works({ works }: { works: PeriodicWork[] }) {
  return (
    <ul className="divide-y divide-line border-y border-line">
      {works.map((work) => (
        <Work key={work.name} work={work} />
      ))}
    </ul>
  );
}

function Work({ work }: { work: PeriodicWork }) {
  const { t } = useTranslation();
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-1 py-2">
      <div className="min-w-0 flex-1 basis-60">
        <p>{t(`operations.work.${work.name}`)}</p>
        <p className="text-xs text-muted">
          {t(`operations.work.${work.name}Text`)}{" "}
          {t("operations.every", { time: interval(work.every_seconds) })}
        </p>
        {work.error ? <p className="break-words text-down-text">{work.error}</p> : null}
      </div>
      <dl className="grid w-72 max-w-full grid-cols-[auto_1fr] gap-x-3 text-xs">
        <dt className="text-muted">{t("operations.ran")}</dt>
        <dd className="flex flex-wrap items-center gap-2">
          {work.started_at ? <Time at={work.started_at} /> : t("operations.never")}
          <Result work={work} />
        </dd>
        <dt className="text-muted">{t("operations.next")}</dt>
        <dd className="flex flex-wrap items-center gap-2">
          <Next work={work} />
        </dd>
      </dl>
    </li>
  );
}

/** A server plans the next run when one has ended. What each server does for itself begins at most that long after its start. */
function Next({ work }: { work: PeriodicWork }) {
  const { t } = useTranslation();
  const now = useNow();
  if (work.running) return t("operations.afterThis");
  if (work.next_at)
    return (
      <>
        <Moment at={work.next_at} />
        {now - Date.parse(work.next_at) > LATE_MS ? (
          <Badge tone="degraded">{t("operations.late")}</Badge>
        ) : null}
      </>
    );
  return work.who === "one"
    ? t("operations.notPlanned")
    : t("operations.within", { time: duration(work.every_seconds) });
}

function Result({ work }: { work: PeriodicWork }) {
  const { t } = useTranslation();
  if (work.error) return <Badge tone="down">{t("operations.failed")}</Badge>;
  if (work.running) return <Badge>{t("operations.now")}</Badge>;
  return work.ended_at ? <Badge tone="up">{t("operations.ok")}</Badge> : null;
}
