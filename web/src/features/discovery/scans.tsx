import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Radar, RotateCw, Square, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { discoveryQuery, isActive, scansQuery } from "#/api/queries";
import type { Scan, ScanIn } from "#/api/schema";
import { useAuth } from "#/api/session";
import { counted, useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { Badge, Empty, ErrorBox, Progress, SkeletonLines } from "#/ui/feedback";
import { Time } from "#/ui/time";
import { useCancelScan, useStartScan } from "./queries";

export function ScanList({ begin }: { begin: ReactNode }) {
  const { t } = useTranslation();
  const scans = useInfiniteQuery(scansQuery);
  if (scans.error) return <ErrorBox error={scans.error} retry={() => void scans.refetch()} />;
  if (!scans.data) return <SkeletonLines lines={5} />;
  if (scans.data.items.length === 0)
    return (
      <Empty icon={<Radar aria-hidden />} title={t("scans.none")} action={begin}>
        {t("scans.noneText")}
      </Empty>
    );
  return (
    <>
      <ul className="flex flex-col gap-2">
        {inOrder(scans.data.items).map((scan) => (
          <ScanCard key={scan.id} scan={scan} />
        ))}
      </ul>
      {scans.hasNextPage ? (
        <Button className="mt-3" busy={scans.isFetchingNextPage} onClick={() => void scans.fetchNextPage()}>
          {t("common.more")}
        </Button>
      ) : null}
    </>
  );
}

/** The scan at work first, then those that wait, in the order in which they run. */
export function activeScans(scans: readonly Scan[] = []): Scan[] {
  const active = scans.filter((scan) => isActive(scan.status)).reverse();
  return active.sort((a, b) => Number(b.status === "running") - Number(a.status === "running"));
}

/** Behind them the others, the newest first, as the server has them. */
const inOrder = (scans: readonly Scan[]): Scan[] => [
  ...activeScans(scans),
  ...scans.filter((scan) => !isActive(scan.status)),
];

/** What came of a scan. Nothing new is news; that nothing known was seen is not. */
function outcome(scan: Scan, t: ReturnType<typeof useTranslation>["t"]): string {
  return [
    t("scans.hosts", { count: scan.hosts_found }),
    t("scans.new", { count: scan.findings_new }),
    ...(scan.assets_seen > 0 ? [t("scans.seen", { count: scan.assets_seen })] : []),
  ].join(" · ");
}

/** A scan waits for others, or for a server that does it. */
function Waiting({ scan }: { scan: Scan }) {
  const { t } = useTranslation();
  const discovery = useQuery({ ...discoveryQuery, refetchInterval: 10_000 }).data;
  const there = scan.site === null ? discovery : discovery?.sites.find(({ name }) => name === scan.site);
  if (!discovery || (there && there.workers > 0)) return t("scans.waiting");
  return scan.site === null ? t("scans.noWorker") : t("scans.noWorkerAtSite", { site: scan.site });
}

const tones = {
  queued: "plain",
  running: "accent",
  completed: "up",
  partial: "degraded",
  cancelled: "plain",
  failed: "down",
} as const;

export function ScanCard({ scan }: { scan: Scan }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const cancel = useCancelScan();
  const again = useStartScan();
  const active = isActive(scan.status);
  const share = scan.addresses_total > 0 ? scan.addresses_done / scan.addresses_total : 0;
  return (
    <li className="rounded-md border border-line bg-surface p-3">
      <div className="flex items-center gap-2">
        <span className="mono min-w-0 flex-1 truncate" title={scan.targets.join(", ")}>
          {scan.targets.join(", ")}
        </span>
        <Badge tone={tones[scan.status]}>{t(`scanStatus.${scan.status}`)}</Badge>
        {active && can("discovery:write") ? (
          <Button
            look="danger"
            className="h-7"
            busy={cancel.isPending}
            onClick={() => cancel.mutate(scan.id)}
          >
            <Square aria-hidden className="size-3" fill="currentColor" />
            {t("scans.stop")}
          </Button>
        ) : null}
      </div>
      {active ? (
        <div className="mt-2.5">
          <Progress value={share} label={t("scans.progress")} />
          <p className="mt-1.5 text-xs text-muted">
            {scan.phase ? (
              t(`scans.phase.${scan.phase}`, { defaultValue: scan.phase })
            ) : (
              <Waiting scan={scan} />
            )}
            {" · "}
            {t("scans.done", {
              done: counted(scan.addresses_done),
              total: counted(scan.addresses_total),
            })}
          </p>
        </div>
      ) : null}
      <p className="mt-1.5 text-xs text-muted">
        {outcome(scan, t)} · <Time at={scan.finished_at ?? scan.started_at ?? scan.created_at} /> ·{" "}
        {scan.requested_by}
        {scan.site === null ? null : ` · ${t("scans.site", { site: scan.site })}`}
      </p>
      {!active ? (
        <div className="mt-2 flex flex-wrap gap-2">
          {scan.findings_new > 0 ? (
            <Link
              to="/discovery"
              search={{ from: scan.id }}
              className={buttonClass("plain", "h-7 max-md:h-9")}
            >
              {t("scans.openFindings", { count: scan.findings_new })}
            </Link>
          ) : null}
          {can("discovery:write") ? (
            <Button
              look="ghost"
              className="h-7 max-md:h-9"
              busy={again.isPending}
              onClick={() =>
                again.mutate({
                  targets: scan.targets,
                  probes: scan.probes as ScanIn["probes"],
                  ...(scan.site === null ? {} : { site: scan.site }),
                })
              }
            >
              <RotateCw aria-hidden className="size-3.5" />
              {t("scans.again")}
            </Button>
          ) : null}
        </div>
      ) : null}
      {again.error ? <ErrorBox className="mt-2" error={again.error} /> : null}
      {scan.error ? <p className="mt-1.5 text-down-text">{scan.error}</p> : null}
      {cancel.error ? <ErrorBox className="mt-2" error={cancel.error} /> : null}
      {scan.limitations.length > 0 ? (
        <details className="mt-1.5 text-xs">
          <summary className="cursor-pointer text-degraded-text">
            <TriangleAlert aria-hidden className="mr-1 inline size-3.5 align-text-bottom" />
            {t("scans.limitations", { count: scan.limitations.length })}
          </summary>
          <ul className="mt-1 list-disc space-y-0.5 pl-5 text-muted">
            {scan.limitations.map((limitation) => (
              <li key={limitation}>{limitation}</li>
            ))}
          </ul>
        </details>
      ) : null}
    </li>
  );
}
