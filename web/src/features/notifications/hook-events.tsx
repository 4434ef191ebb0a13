/** What a hook has taken, the newest first; it goes on by itself while somebody looks. */
import { useInfiniteQuery } from "@tanstack/react-query";
import type { HookEvent } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Moment, Time } from "#/ui/time";
import { Disclosure } from "./disclosure";
import { hookEventsQuery } from "./queries";

const tones = { info: "plain", warning: "degraded", critical: "down" } as const;

export function HookEvents({ id }: { id: string }) {
  const { t } = useTranslation();
  const events = useInfiniteQuery(hookEventsQuery(id));
  const items = events.data?.items;
  if (events.error && !items) return <ErrorBox error={events.error} retry={() => void events.refetch()} />;
  if (!items) return <SkeletonLines lines={3} />;
  if (items.length === 0) return <p className="text-muted">{t("hook.noEvents")}</p>;
  return (
    <div className="flex flex-col gap-2">
      <ul className="divide-y divide-line border-y border-line">
        {items.map((event) => (
          <Row key={event.id} event={event} />
        ))}
      </ul>
      {events.hasNextPage ? (
        <div>
          <Button busy={events.isFetchingNextPage} onClick={() => void events.fetchNextPage()}>
            {t("common.more")}
          </Button>
        </div>
      ) : null}
    </div>
  );
}

function Row({ event }: { event: HookEvent }) {
  const { t } = useTranslation();
  return (
    <Disclosure
      title={event.title}
      subtitle={<Time at={event.at} />}
      badge={
        event.resolved ? (
          <Badge tone="up">{t("hook.resolved")}</Badge>
        ) : (
          <Badge tone={tones[event.severity]}>{t(`notification.severity.${event.severity}`)}</Badge>
        )
      }
    >
      <div className="flex flex-col gap-2 pt-1 pb-4 pl-6">
        <p className="break-words whitespace-pre-wrap">{event.text || event.title}</p>
        <p className="text-muted">
          <Moment at={event.at} /> · <span className="mono">{event.address}</span>
        </p>
        {event.link ? (
          <a
            href={event.link}
            target="_blank"
            rel="noopener noreferrer"
            className="self-start break-all text-accent-text hover:underline"
          >
            {event.link}
          </a>
        ) : null}
      </div>
    </Disclosure>
  );
}
