import { useTranslation } from "#/i18n";
import { Badge } from "#/ui/feedback";
import { Moment, Time } from "#/ui/time";
import { type Health, healthOf, type Remembered } from "./health";

const looks = {
  off: ["plain", "○"],
  disabled: ["down", "■"],
  failing: ["degraded", "▲"],
  delivering: ["up", "●"],
  unused: ["plain", "○"],
} as const satisfies Record<Health, readonly [string, string]>;

/** In one word, by colour and by shape. */
export function HealthBadge({ subscriber }: { subscriber: Remembered }) {
  const { t } = useTranslation();
  const health = healthOf(subscriber);
  const [tone, shape] = looks[health];
  return (
    <Badge tone={tone}>
      <span aria-hidden className="text-[9px]">
        {shape}
      </span>
      {t(`notification.health.${health}`)}
    </Badge>
  );
}

/** In a sentence: since when, and why. */
export function HealthText({ subscriber }: { subscriber: Remembered }) {
  const { t } = useTranslation();
  const health = healthOf(subscriber);
  return (
    <div className="flex flex-col items-start gap-1.5">
      <HealthBadge subscriber={subscriber} />
      <p className="break-words text-muted">
        {t(`notification.healthText.${health}`)}
        {health === "failing" && subscriber.failing_since ? (
          <>
            {" "}
            <Moment at={subscriber.failing_since} />
          </>
        ) : null}
        {health === "delivering" ? (
          <>
            {" "}
            <Time at={subscriber.last_delivered_at} />
          </>
        ) : null}
        {health === "disabled" ? (
          <>
            {" "}
            <Time at={subscriber.disabled_at} />
            {subscriber.disabled_reason ? `: ${subscriber.disabled_reason}` : ""}
          </>
        ) : null}
      </p>
    </div>
  );
}
