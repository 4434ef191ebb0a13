/** How full a network is: a bar for the eye, words for everyone. */
import type { Network } from "#/api/schema";
import { counted, useTranslation } from "#/i18n";
import { cx } from "#/ui/cx";

/** Addresses in use, with the gateway's; out of how many, where that can be said. */
export function fullness({ usable, free, address_count }: Network): {
  used: number;
  usable: number | null;
  share: number;
} {
  if (usable === null || free === null) return { used: address_count, usable: null, share: 0 };
  const used = usable - free;
  return { used, usable, share: usable > 0 ? used / usable : 1 };
}

const ALMOST_FULL = 0.8;
const FULL = 0.95;

const whole = (count: number) => counted(count);
const rough = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
/** 16,777,190 is 16.8M where there is little room. */
const short = (count: number) => (count < 100_000 ? whole(count) : rough.format(count));

/** "13 of 254", or "12 in use" where there is no end to the addresses. */
export function fullnessWords(
  network: Network,
  t: ReturnType<typeof useTranslation>["t"],
  said: (count: number) => string = short,
): string {
  const { used, usable } = fullness(network);
  return usable === null
    ? t("networks.inUse", { number: said(used) })
    : t("networks.useOf", { used: said(used), usable: said(usable) });
}

export function UseBar({ network, wide = false }: { network: Network; wide?: boolean }) {
  const { t } = useTranslation();
  const { used, usable, share } = fullness(network);
  const words = fullnessWords(network, t, wide ? whole : short);
  const all = fullnessWords(network, t, whole);
  if (usable === null) return <span className={wide ? undefined : "text-muted"}>{words}</span>;
  const percent = Math.round(share * 100);
  const tone = share >= FULL ? "bg-down" : share >= ALMOST_FULL ? "bg-degraded" : "bg-accent";
  return (
    <span className="flex min-w-0 items-center gap-2.5">
      {/* biome-ignore lint/a11y/useSemanticElements: the look of a <meter> is the browser's, and has no tokens */}
      <span
        role="meter"
        aria-label={t("networks.use")}
        aria-valuenow={used}
        aria-valuemin={0}
        aria-valuemax={usable}
        aria-valuetext={t("networks.useText", { words: all, percent })}
        title={t("networks.useText", { words: all, percent })}
        className={cx(
          "block h-1.5 overflow-hidden rounded-full bg-hover",
          wide ? "flex-1" : "w-12 shrink-0 @max-xl:hidden",
        )}
      >
        <span
          className={cx("block h-full rounded-full", tone)}
          // Something is seen of each that is not empty.
          style={{ width: used > 0 ? `max(3px, ${percent}%)` : 0 }}
        />
      </span>
      <span className="truncate tabular-nums">{wide ? t("networks.inUse", { number: words }) : words}</span>
    </span>
  );
}
