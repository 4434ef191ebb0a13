/** How the servers run: what they do by themselves, and how that went. */
import { useQuery } from "@tanstack/react-query";
import { periodicQuery } from "#/api/queries";
import type { PeriodicWork } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/operations.json";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Block, Blocks, PageHead } from "#/ui/page";
import { Moment, Time } from "#/ui/time";
import { DeadLetters } from "./dead-letters";
import { duration } from "./duration";

addWords(words);

export function OperationsPage() {
  const { t } = useTranslation();
  const periodic = useQuery(periodicQuery);
  return (
    <>
      <PageHead title={t("operations.title")} />
      <Blocks label={t("operations.title")}>
        <Block title={t("operations.periodic")} text={t("operations.periodicText")}>
          {periodic.error ? (
            <ErrorBox error={periodic.error} retry={() => void periodic.refetch()} />
          ) : periodic.data ? (
            <ul className="divide-y divide-line border-y border-line">
              {periodic.data.items.map((work) => (
                <Work key={work.name} work={work} />
              ))}
            </ul>
          ) : (
            <SkeletonLines lines={8} />
          )}
        </Block>
        <DeadLetters />
      </Blocks>
    </>
  );
}

function Work({ work }: { work: PeriodicWork }) {
  const { t } = useTranslation();
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-1 py-2">
      <div className="min-w-60 flex-1">
        <p>{t(`operations.work.${work.name}`)}</p>
        <p className="text-xs text-muted">
          {t(`operations.work.${work.name}Text`)}{" "}
          {t("operations.every", { time: duration(work.every_seconds) })}
          {work.who === "one" ? "." : `. ${t("operations.each")}`}
        </p>
        {work.error ? <p className="text-down">{work.error}</p> : null}
      </div>
      <dl className="grid w-72 max-w-full grid-cols-[auto_1fr] gap-x-3 text-xs">
        <dt className="text-muted">{t("operations.ran")}</dt>
        <dd className="flex flex-wrap items-center gap-2">
          {work.started_at ? <Time at={work.started_at} /> : t("operations.never")}
          <Result work={work} />
        </dd>
        <dt className="text-muted">{t("operations.next")}</dt>
        <dd>{work.next_at ? <Moment at={work.next_at} /> : "–"}</dd>
      </dl>
    </li>
  );
}

function Result({ work }: { work: PeriodicWork }) {
  const { t } = useTranslation();
  if (work.error) return <Badge tone="down">{t("operations.failed")}</Badge>;
  if (work.running) return <Badge>{t("operations.now")}</Badge>;
  return work.ended_at ? <Badge tone="up">{t("operations.ok")}</Badge> : null;
}
