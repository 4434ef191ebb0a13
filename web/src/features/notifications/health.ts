/** How a subscriber fares, from what the server remembers of it. The first that is true is told. */
import type { Webhook } from "#/api/schema";

export type Health = "off" | "disabled" | "failing" | "delivering" | "unused";

/** Of a webhook and of a channel alike. */
export type Remembered = Pick<
  Webhook,
  "enabled" | "disabled_at" | "disabled_reason" | "failing_since" | "last_delivered_at"
>;

export function healthOf({
  enabled,
  disabled_at,
  failing_since,
  last_delivered_at,
}: Omit<Remembered, "disabled_reason">): Health {
  // The server switches off what has failed for days; that is something else than a person's wish.
  if (disabled_at) return "disabled";
  if (!enabled) return "off";
  if (failing_since) return "failing";
  return last_delivered_at ? "delivering" : "unused";
}
