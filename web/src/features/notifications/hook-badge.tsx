import type { Hook } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Badge } from "#/ui/feedback";
import { type HookState, hookStateOf } from "./hook-state";

const looks = {
  off: ["plain", "○"],
  refusing: ["degraded", "▲"],
  receiving: ["up", "●"],
  unused: ["plain", "○"],
} as const satisfies Record<HookState, readonly [string, string]>;

/** In one word, by colour and by shape. */
export function HookBadge({ hook }: { hook: Hook }) {
  const { t } = useTranslation();
  const state = hookStateOf(hook);
  const [tone, shape] = looks[state];
  return (
    <Badge tone={tone}>
      <span aria-hidden className="text-[9px]">
        {shape}
      </span>
      {t(`hook.state.${state}`)}
    </Badge>
  );
}
