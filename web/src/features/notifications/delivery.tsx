import { type InfiniteData, useMutation, useQueryClient } from "@tanstack/react-query";
import { replaceInPages } from "#/api/pages";
import type { Delivery, DeliveryAttempt, Page } from "#/api/schema";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Badge, ErrorBox } from "#/ui/feedback";
import { Moment, Time } from "#/ui/time";
import { Excerpt } from "./controls";
import { Disclosure } from "./disclosure";
import { deliveriesKey, redeliver, type Subscriber } from "./queries";

/** How it stands, as far as a person is concerned: what has failed and is tried again is not the same as what is new. */
function lookOf({ state, attempts }: Delivery) {
  if (state === "waiting" && attempts.length > 0) return ["degraded", "retrying"] as const;
  const tones = { waiting: "plain", delivered: "up", dead: "down", dropped: "plain" } as const;
  return [tones[state], state] as const;
}

interface Props {
  delivery: Delivery;
  subscriber: Subscriber;
  writes: boolean;
}

export function DeliveryRow({ delivery, subscriber, writes }: Props) {
  const { t } = useTranslation();
  const [tone, look] = lookOf(delivery);
  const tries = delivery.attempts.length;
  return (
    <Disclosure
      title={delivery.title}
      subtitle={
        <>
          <Time at={delivery.created_at} />
          {tries > 1 ? ` · ${t("delivery.tries", { count: tries })}` : ""}
        </>
      }
      badge={<Badge tone={tone}>{t(`delivery.state.${look}`)}</Badge>}
    >
      <Details delivery={delivery} subscriber={subscriber} writes={writes} />
    </Disclosure>
  );
}

function Details({ delivery, subscriber, writes }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const again = useMutation({
    mutationFn: () => redeliver(subscriber, delivery.id),
    onSuccess: (waiting) => {
      client.setQueriesData<InfiniteData<Page<Delivery>>>(
        { queryKey: deliveriesKey(subscriber) },
        (data) => replaceInPages(data, waiting).data,
      );
      void client.invalidateQueries({ queryKey: deliveriesKey(subscriber) });
    },
  });
  const { attempts, state, next_at } = delivery;
  return (
    <div className="flex flex-col gap-3 pt-1 pb-4 pl-6">
      {attempts.length > 0 ? (
        <ol aria-label={t("delivery.attempts")} className="flex flex-col gap-2">
          {attempts.map((attempt) => (
            <Attempt key={attempt.at} attempt={attempt} />
          ))}
        </ol>
      ) : null}
      {state === "waiting" ? (
        <p className="text-muted">
          {next_at && attempts.length > 0 ? (
            <>
              {t("delivery.next")} <Moment at={next_at} />
            </>
          ) : (
            t("delivery.soon")
          )}
        </p>
      ) : null}
      {state === "dead" || state === "dropped" ? (
        <p className="text-muted">{t(`delivery.why.${state}`)}</p>
      ) : null}
      <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
        <dt className="text-muted">{t("delivery.kind")}</dt>
        <dd className="mono break-all">{delivery.kind}</dd>
        <dt className="text-muted">{t(`delivery.id.${subscriber.resource}`)}</dt>
        <dd className="mono break-all select-all">{delivery.notice_id}</dd>
      </dl>
      <div>
        <p className="mb-1 text-xs font-medium text-muted">{t(`delivery.payload.${subscriber.resource}`)}</p>
        <pre
          className="mono max-h-64 overflow-auto rounded border border-line bg-sunken px-2 py-1.5 text-xs"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
          tabIndex={0}
        >
          {JSON.stringify(delivery.payload, null, 2)}
        </pre>
      </div>
      {again.error ? <ErrorBox error={again.error} /> : null}
      {writes ? (
        <div>
          <Button busy={again.isPending} onClick={() => again.mutate()}>
            {t("delivery.again")}
          </Button>
        </div>
      ) : null}
    </div>
  );
}

function Attempt({ attempt: { at, took_ms, status, error, excerpt } }: { attempt: DeliveryAttempt }) {
  const { t } = useTranslation();
  return (
    <li className="flex flex-col gap-1">
      <p className="flex flex-wrap gap-x-2">
        <Moment at={at} />
        {status === null ? null : (
          <span className={error ? "text-down-text" : "text-up-text"}>
            {t("delivery.status", { status })}
          </span>
        )}
        {/* Of a failure, whoever may not write learns neither status nor time. */}
        {status === null && took_ms === 0 ? null : (
          <span className="text-muted">{t("delivery.took", { ms: counted(took_ms) })}</span>
        )}
      </p>
      {error ? <p className="break-words text-muted first-letter:uppercase">{error}</p> : null}
      {excerpt ? <Excerpt text={excerpt} /> : null}
    </li>
  );
}
