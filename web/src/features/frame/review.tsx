/** What every page says of discovery: how many findings wait, and how a scan has ended that was seen running here. */
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { http, take } from "#/api/client";
import { useLive, useThrottled } from "#/api/hooks";
import { isActive, scansQuery, waitingKey, waitingQuery } from "#/api/queries";
import type { Scan } from "#/api/schema";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { toast } from "#/ui/toast";

const SHOWN_MS = 15_000;

/** How many findings wait for review; 0 for whoever may not see them. */
export function useWaiting(): number {
  const { can } = useAuth();
  const reads = can("discovery:read");
  const { data } = useQuery({ ...waitingQuery, enabled: reads });
  return reads ? (data ?? 0) : 0;
}

/** Keeps the count true, and tells once how each scan has ended that was seen at work or waiting here. */
export function ScanEnds() {
  const { t } = useTranslation();
  const router = useRouter();
  const client = useQueryClient();
  const refresh = useThrottled(() => void client.invalidateQueries({ queryKey: waitingKey }), 1_000);
  useLive("discovery", (message) => {
    if (message.type === "finding" || message.type === "resync") refresh();
  });
  const { data } = useInfiniteQuery(scansQuery);
  const seen = useRef(new Set<string>());
  useEffect(() => {
    for (const scan of data?.items ?? []) {
      if (isActive(scan.status)) seen.current.add(scan.id);
      else if (seen.current.delete(scan.id)) void tell(scan);
    }

    async function tell(scan: Scan): Promise<void> {
      const counts = scan.findings_new > 0 ? await newAndChanged(scan) : { fresh: 0, changed: 0 };
      const came = [
        t("scanEnd.new", { count: counts.fresh }),
        ...(counts.changed > 0 ? [t("scanEnd.changed", { count: counts.changed })] : []),
      ].join(", ");
      const { status } = scan;
      const how =
        status === "failed" || status === "cancelled" || status === "partial" ? status : "completed";
      const review = scan.findings_new > 0;
      const search = review ? { from: scan.id } : { tab: "scans" as const };
      // On the list that it would lead to, it leads nowhere.
      const there = review ? onList(router.state.location) : onScans(router.state.location);
      const text = t(`scanEnd.${how}`, { targets: scan.targets.join(", "), came, why: scan.error ?? "" });
      toast(text.trim(), {
        tone: how === "failed" ? "error" : "plain",
        ms: SHOWN_MS,
        action: there
          ? undefined
          : {
              label: t(review ? "scanEnd.review" : "scanEnd.open"),
              run: () => void router.navigate({ to: "/discovery", search }),
            },
      });
    }
  }, [data, router, t]);
  return null;
}

interface Where {
  pathname: string;
  search: { tab?: unknown; state?: unknown };
}
const onScans = ({ pathname, search }: Where) => pathname === "/discovery" && search.tab === "scans";
/** The findings that wait for review. */
const onList = ({ pathname, search }: Where) =>
  pathname === "/discovery" && search.tab === undefined && (search.state ?? "open") === "open";

async function newAndChanged(scan: Scan): Promise<{ fresh: number; changed: number }> {
  try {
    const query = { by: "change", scan_id: scan.id } as const;
    const groups = await take(http.GET("/api/v1/findings/groups", { params: { query } }));
    const count = (key: string) => groups.find((group) => group.key === key)?.count ?? 0;
    return { fresh: count("new_asset"), changed: count("change") };
  } catch {
    // The scan has counted them together.
    return { fresh: scan.findings_new, changed: 0 };
  }
}
