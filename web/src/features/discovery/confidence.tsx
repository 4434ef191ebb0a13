import { useTranslation } from "#/i18n";
import { cx } from "#/ui/cx";

/** How sure a finding is, in words and in bars: a number alone would pretend to be exact. */
export function confidenceWord(value: number): "strong" | "fair" | "weak" {
  return value >= 75 ? "strong" : value >= 40 ? "fair" : "weak";
}

/** `whole`: with the word for what it is, where no heading says it. */
export function Confidence({ value, whole }: { value: number; whole?: boolean }) {
  const { t } = useTranslation();
  const word = t(`confidence.${confidenceWord(value)}`);
  const bars = Math.max(1, Math.min(5, Math.ceil(value / 20)));
  return (
    <span className="inline-flex items-center gap-2 align-bottom" title={t("confidence.exact", { value })}>
      <span aria-hidden className="inline-flex items-end gap-0.5">
        {[1, 2, 3, 4, 5].map((bar) => (
          <span
            key={bar}
            style={{ height: 3 + bar * 2 }}
            className={cx("w-1 rounded-sm", bar <= bars ? "bg-accent" : "bg-line-strong")}
          />
        ))}
      </span>
      <span>{whole ? t("confidence.of", { word }) : word}</span>
    </span>
  );
}
