/** How a hook fares, from what the server counts of it. */
import type { Hook } from "#/api/schema";

export type HookState = "off" | "refusing" | "receiving" | "unused";

type Counted = Pick<Hook, "enabled" | "last_received_at" | "last_refused_at">;

const timeOf = (at: string | null) => (at ? new Date(at).getTime() : 0);

export function hookStateOf({ enabled, last_received_at, last_refused_at }: Counted): HookState {
  if (!enabled) return "off";
  // What came last counts: after a mistake was mended the next message says so.
  if (timeOf(last_refused_at) > timeOf(last_received_at)) return "refusing";
  return last_received_at ? "receiving" : "unused";
}
