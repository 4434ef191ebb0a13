const inUnit = (seconds: number, locale?: string) => {
  const [size, unit] =
    seconds % 3_600 === 0 ? [3_600, "hour"] : seconds % 60 === 0 ? [60, "minute"] : [1, "second"];
  const format = new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" });
  return { count: seconds / size, format };
};

/** A length of time in its largest whole unit: "5 seconds", "24 hours". */
export function duration(seconds: number, locale?: string): string {
  const { count, format } = inUnit(seconds, locale);
  return format.format(count);
}

/** The same behind “every”: "5 seconds", but "minute". */
export function interval(seconds: number, locale?: string): string {
  const { count, format } = inUnit(seconds, locale);
  const unit = format.formatToParts(count).find(({ type }) => type === "unit");
  return count === 1 && unit ? unit.value : format.format(count);
}
