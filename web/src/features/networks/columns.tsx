import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Network } from "#/api/schema";
import { counted, useTranslation } from "#/i18n";
import type { Column } from "#/ui/data-table";
import { CopyButton } from "#/ui/secret";
import { widestTime } from "#/ui/time";
import { fullness, fullnessWords, UseBar } from "./fullness";
import { LastScan, ScanLink, useScanning } from "./scan";

const nothing = <span className="text-faint">–</span>;

export function useColumns(): Column<Network>[] {
  const { t } = useTranslation();
  const { may, takes } = useScanning();
  return useMemo(() => {
    const columns: Column<Network>[] = [
      {
        id: "name",
        header: t("networks.name"),
        sortBy: (row) => row.name,
        width: { min: 112, max: 320, text: (row) => row.name },
        cell: (row) => <span className="truncate">{row.name}</span>,
      },
      {
        id: "cidr",
        header: t("networks.cidr"),
        sortBy: (row) => row.cidr,
        width: { min: 124, max: 300, mono: true, text: (row) => (row.cidr === row.name ? "" : row.cidr) },
        // A network that a scan made is named by its range, which is not shown twice.
        cell: (row) => <span className={row.cidr === row.name ? "sr-only" : "mono"}>{row.cidr}</span>,
      },
      {
        id: "vlan",
        header: t("networks.vlan"),
        sortBy: (row) => row.vlan,
        width: { min: 64, max: 88, rank: 6 },
        cell: (row) => row.vlan ?? nothing,
      },
      {
        id: "use",
        header: t("networks.use"),
        // The fullest first; those without an end are the emptiest.
        sortBy: (row) => fullness(row).share,
        descendingFirst: true,
        width: { min: 150, max: 220, extra: 60, text: (row) => fullnessWords(row, t), rank: 1, slim: 126 },
        cell: (row) => <UseBar network={row} />,
      },
      {
        id: "free",
        header: t("networks.nextFree"),
        sortBy: (row) => row.free,
        descendingFirst: true,
        width: { min: 150, max: 320, mono: true, extra: 36, text: (row) => row.next_free ?? "", rank: 3 },
        cell: (row) =>
          row.next_free ? (
            <span className="flex items-center gap-1">
              <span className="mono truncate">{row.next_free}</span>
              <CopyButton
                icon
                text={row.next_free}
                label={t("networks.copyFree", { address: row.next_free })}
              />
            </span>
          ) : (
            <span className="text-faint">{t("networks.noneFree")}</span>
          ),
      },
      {
        id: "conflicts",
        header: t("networks.conflicts"),
        sortBy: (row) => row.conflicts,
        descendingFirst: true,
        width: { min: 84, max: 104, rank: 2 },
        cell: (row) =>
          row.conflicts > 0 ? (
            <span className="font-medium text-degraded-text">{counted(row.conflicts)}</span>
          ) : (
            <span className="text-faint">0</span>
          ),
      },
      {
        id: "gateway",
        header: t("networks.gateway"),
        sortBy: (row) => row.gateway,
        width: {
          min: 120,
          max: 320,
          extra: 16,
          text: (row) => row.gateway_asset?.name ?? row.gateway ?? "",
          rank: 5,
        },
        cell: (row) =>
          row.gateway_asset ? (
            <Link
              to="/inventory"
              search={{ selected: row.gateway_asset.id }}
              title={row.gateway ?? undefined}
              className="text-accent-text hover:underline"
            >
              {row.gateway_asset.name}
            </Link>
          ) : row.gateway ? (
            <span className="mono">{row.gateway}</span>
          ) : (
            nothing
          ),
      },
      {
        id: "scanned",
        header: t("networks.lastScan"),
        sortBy: (row) => row.last_scan?.at,
        descendingFirst: true,
        className: "text-muted",
        width: { min: 110, max: 200, text: widestTime, rank: 4 },
        cell: (row) => <LastScan network={row} />,
      },
      {
        id: "scan",
        header: t("networks.scan"),
        width: { min: 88, max: 88, rank: 7 },
        cell: (row) => (takes(row) ? <ScanLink compact network={row} /> : null),
      },
    ];
    return may ? columns : columns.slice(0, -1);
  }, [t, may, takes]);
}
