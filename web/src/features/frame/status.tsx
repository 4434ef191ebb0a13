import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Radar } from "lucide-react";
import { useAwaySince, useLive, useLiveState } from "#/api/hooks";
import { replaceInPages } from "#/api/pages";
import { currentScan, scansKey, scansQuery } from "#/api/queries";
import type { Page, Scan } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { cx } from "#/ui/cx";

/** Keeps the list of scans true while any page is open, and shows the one that runs. */
export function ScanStatus() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { data } = useInfiniteQuery(scansQuery);
  useLive("discovery", (message) => {
    if (message.type === "resync") void client.invalidateQueries({ queryKey: scansKey });
    if (message.type !== "scan") return;
    const scan = message.data;
    let found = true;
    client.setQueryData<InfiniteData<Page<Scan>>>(scansKey, (old) => {
      const result = replaceInPages(old, scan);
      found = result.found;
      return result.data;
    });
    if (!found) void client.invalidateQueries({ queryKey: scansKey });
  });
  const running = currentScan(data?.items);
  if (!running) return null;
  const share = running.addresses_total > 0 ? running.addresses_done / running.addresses_total : 0;
  const percent = `${Math.round(share * 100)}%`;
  return (
    <Link
      to="/discovery"
      className="flex h-8 items-center gap-2 rounded-md px-2 text-muted hover:bg-hover hover:text-ink"
      aria-label={t("frame.scanning", { percent })}
    >
      <Radar aria-hidden className="size-4 text-accent-text" />
      <span className="max-md:hidden">{t("frame.scanningShort")}</span>{" "}
      <span className="w-9 text-right">{percent}</span>
    </Link>
  );
}

export function LiveDot() {
  const { t } = useTranslation();
  const discovery = useLiveState("discovery");
  const topology = useLiveState("topology");
  const states = [discovery, topology];
  const away = useAwaySince() !== null;
  const state = away
    ? "away"
    : states.includes("blocked")
      ? "blocked"
      : states.includes("waiting")
        ? "waiting"
        : states.includes("open")
          ? "open"
          : states.includes("connecting")
            ? "connecting"
            : "idle";
  return (
    <span role="status" className="flex size-8 items-center justify-center" title={t(`live.${state}`)}>
      <span
        aria-hidden
        className={cx(
          "size-2",
          state === "open"
            ? "rounded-full bg-up"
            : state === "waiting" || state === "blocked" || state === "away"
              ? "bg-down"
              : "rounded-full border border-unknown",
        )}
      />
      <span className="sr-only">{t(`live.${state}`)}</span>
    </span>
  );
}
