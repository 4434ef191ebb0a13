/** A length of time in its largest whole unit: "5 seconds", "24 hours". */
export function duration(seconds: number, locale?: string): string {
  const [size, unit] =
    seconds % 3_600 === 0 ? [3_600, "hour"] : seconds % 60 === 0 ? [60, "minute"] : [1, "second"];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
}
