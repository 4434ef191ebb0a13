/** The last scan of a network in words, and the way to the next one. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Radar } from "lucide-react";
import { useMemo } from "react";
import { discoveryQuery, isActive } from "#/api/queries";
import type { Network } from "#/api/schema";
import { useAuth } from "#/api/session";
import { checkTargets } from "#/domain/address";
import { useTranslation } from "#/i18n";
import { buttonClass } from "#/ui/button";
import { Time } from "#/ui/time";

/** The widest that the server scans, until it has said it itself. */
const USUAL_PREFIX = 16;

/** Whether this person may scan, and whether a network is small enough. */
export function useScanning(): { may: boolean; prefix: number; takes: (network: Network) => boolean } {
  const { can } = useAuth();
  const may = can("discovery:write");
  const prefix = useQuery({ ...discoveryQuery, enabled: may }).data?.max_prefix ?? USUAL_PREFIX;
  return useMemo(
    () => ({ may, prefix, takes: ({ cidr }) => may && !checkTargets(cidr, prefix)[0]?.problem }),
    [may, prefix],
  );
}

/** To the form, filled with this network: a scan is looked at before it is sent. */
export function ScanLink({ network, compact = false }: { network: Network; compact?: boolean }) {
  const { t } = useTranslation();
  return (
    <Link
      to="/discovery"
      search={{ scan: "new", targets: network.cidr }}
      aria-label={t("networks.scanOf", { name: network.name })}
      className={
        compact
          ? "inline-flex min-h-7 items-center gap-1.5 rounded-md px-2 text-ink hover:bg-hover"
          : buttonClass()
      }
    >
      <Radar aria-hidden className="size-4" />
      {t("networks.scan")}
    </Link>
  );
}

/** When, and what came of it. */
export function LastScan({ network, whole = false }: { network: Network; whole?: boolean }) {
  const { t } = useTranslation();
  const scan = network.last_scan;
  if (!scan) return <span className="text-faint">{t("networks.neverScanned")}</span>;
  const running = isActive(scan.status);
  const ended = scan.status === "completed";
  const link = (
    <Link to="/discovery" search={{ tab: "scans" }} className="text-accent-text hover:underline">
      {running ? t(`scanStatus.${scan.status}`) : <Time at={scan.at} />}
    </Link>
  );
  if (!whole)
    return (
      <>
        {link}
        {running || ended ? null : <span className="text-muted"> · {t(`scanStatus.${scan.status}`)}</span>}
        {scan.whole ? null : <span className="text-muted"> · {t("networks.part")}</span>}
      </>
    );
  return (
    <span>
      {link}
      <span className="text-muted">
        {running ? null : ` · ${t(`scanStatus.${scan.status}`)}`}
        {` · ${t("scans.hosts", { count: scan.hosts_found })} · ${t("scans.new", { count: scan.findings_new })}`}
        {scan.targets > 1 ? ` ${t("networks.inTargets", { count: scan.targets })}` : null}
        {scan.whole ? null : <span className="block">{t("networks.partOnly")}</span>}
      </span>
    </span>
  );
}
