import type { useTranslation } from "#/i18n";

type T = ReturnType<typeof useTranslation>["t"];

/** A kind of job in words. Another server may be newer and have kinds that this page does not know. */
export function jobName(t: T, kind: string): string {
  return kind === "scan" ? t("operations.job.scan") : kind;
}
