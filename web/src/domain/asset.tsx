/** The words and marks that every feature shares about assets: kind, role, status by colour and shape, tags. */

import { useAwaySince } from "#/api/hooks";
import type { AssetKind, AssetStatus, TagRef } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/inventory.json";
import { cx } from "#/ui/cx";
import { drawingOf } from "./icons";

addWords(words);

export const assetKinds: readonly AssetKind[] = [
  "device",
  "compute",
  "service",
  "storage",
  "cluster",
  "external",
  "other",
];
export const assetStatuses: readonly AssetStatus[] = [
  "up",
  "degraded",
  "down",
  "not_seen",
  "unknown",
  "maintenance",
];

export function KindIcon({
  kind,
  role,
  className,
}: {
  kind: AssetKind;
  role?: string | null;
  className?: string;
}) {
  const { Icon } = drawingOf(kind, role);
  return <Icon aria-hidden className={cx("size-4 shrink-0 text-muted", className)} />;
}

const acronyms: Record<string, string> = {
  nas: "NAS",
  tv: "TV",
  vm: "VM",
  iot: "IoT",
  ups: "UPS",
  plc: "PLC",
};

/** "access-point" → "Access point". Roles are free words: what we do not know is shown as it is. */
export function roleName(role: string): string {
  const words = role.replace(/[_-]/g, " ");
  return acronyms[role.toLowerCase()] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

const shapes: Record<AssetStatus, string> = {
  up: "M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 0 1 0-9z",
  degraded: "M6 1.2 11.2 10.6H.8z",
  down: "M1.7 1.7h8.6v8.6H1.7z",
  not_seen: "M2.2 2.2h7.6v7.6H2.2z",
  unknown: "M6 2.4a3.6 3.6 0 1 1 0 7.2a3.6 3.6 0 0 1 0-7.2z",
  maintenance: "M6 .7 11.3 6 6 11.3.7 6z",
};
const tones: Record<AssetStatus, [shape: string, text: string]> = {
  up: ["text-up", "text-up-text"],
  degraded: ["text-degraded", "text-degraded-text"],
  down: ["text-down", "text-down-text"],
  not_seen: ["text-unknown", "text-unknown-text"],
  unknown: ["text-unknown", "text-unknown-text"],
  maintenance: ["text-maintenance", "text-maintenance-text"],
};

/** Drawn as an outline: nothing is known to be well or to be broken. */
export const hollowStatuses: ReadonlySet<AssetStatus> = new Set(["not_seen", "unknown", "maintenance"]);

/** What can be said of a state while the server is away: what was measured is of then. Maintenance was said by a person. */
export function statusWhileAway(status: AssetStatus): AssetStatus {
  return status === "maintenance" ? status : "unknown";
}

interface StatusProps {
  status: AssetStatus;
  withText?: boolean;
  /** Instead of the status's own word. */
  text?: string;
}

/** The state of something that is there; unknown while the server is away. */
export function StatusMark({ status, withText, text }: StatusProps) {
  const { t } = useTranslation();
  const away = useAwaySince() !== null;
  const shown = away ? statusWhileAway(status) : status;
  const was = shown === status ? undefined : t("away.was", { status: t(`status.${status}`) });
  return (
    <StatusSign status={shown} withText={withText} text={shown === status ? text : undefined} title={was} />
  );
}

/** A state as such, as a legend explains it. */
export function StatusSign({ status, withText = false, text, title }: StatusProps & { title?: string }) {
  const { t } = useTranslation();
  const hollow = hollowStatuses.has(status);
  return (
    <span
      className={cx(
        "inline-flex max-w-full items-center gap-1.5",
        withText ? "align-bottom" : "align-middle",
        tones[status][1],
      )}
      title={title ?? (withText ? text : t(`status.${status}`))}
    >
      <svg viewBox="0 0 12 12" aria-hidden="true" className={cx("size-3 shrink-0", tones[status][0])}>
        <path
          d={shapes[status]}
          fill={hollow ? "none" : "currentColor"}
          stroke="currentColor"
          strokeWidth={hollow ? 1.6 : 0}
          strokeLinejoin="round"
        />
      </svg>
      <span className={withText ? "truncate" : "sr-only"}>{text ?? t(`status.${status}`)}</span>
    </span>
  );
}

/** The words of some tags, with spaces for what stands around each name, for the width of a column. */
export function tagsText(tags: readonly Pick<TagRef, "name">[]): string {
  return tags.map(({ name }) => name + " ".repeat(9)).join("");
}

export function TagChip({ tag }: { tag: Pick<TagRef, "name" | "color"> }) {
  return (
    <span className="inline-flex h-5 max-w-40 items-center gap-1.5 rounded border border-line-strong px-1.5 text-xs whitespace-nowrap text-muted">
      <span aria-hidden className="size-2 shrink-0 rounded-full" style={{ background: tag.color }} />
      <span className="truncate">{tag.name}</span>
    </span>
  );
}
