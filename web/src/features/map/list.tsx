/** The same map as a table: for screen readers, for phones, and for whoever reads better than they look. */
import { useMemo, useState } from "react";
import type { MapNode } from "#/api/schema";
import { addressOrder } from "#/domain/address";
import { KindIcon, StatusMark } from "#/domain/asset";
import { useTranslation } from "#/i18n";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { isPinned, type MapModel } from "./model";

interface MapListProps {
  model: MapModel;
  matches: ReadonlySet<string> | null;
  selected?: string;
  onSelect: (id: string | null) => void;
}

export function MapList({ model, matches, selected, onSelect }: MapListProps) {
  const { t } = useTranslation();
  const [sort, setSort] = useState("network");
  const linkCounts = useMemo(() => {
    const counts = new Map<string, number>();
    for (const link of model.links.values()) {
      counts.set(link.a, (counts.get(link.a) ?? 0) + 1);
      counts.set(link.b, (counts.get(link.b) ?? 0) + 1);
    }
    return counts;
  }, [model]);
  const columns = useColumns(model, linkCounts);
  const rows = useMemo(() => {
    const shown = [...model.nodes.values()].filter((node) => !matches || matches.has(node.id));
    return sortNodes(shown, sort, model, linkCounts);
  }, [model, matches, sort, linkCounts]);
  return (
    <DataTable
      label={t("map.list")}
      columns={columns}
      rows={rows}
      rowId={(row) => row.id}
      rowLabel={(row) => row.name}
      sort={sort}
      onSort={(next) => setSort(next || "network")}
      activeId={selected}
      onOpen={(row) => onSelect(row.id)}
      total={rows.length}
      empty={<Empty title={t("map.noMatch")} />}
    />
  );
}

const portsText = ({ ports }: MapNode) => ports.slice(0, 8).join(" ");

function networkName(model: MapModel, node: MapNode): string {
  return (node.network_id && model.groups.get(node.network_id)?.name) || "";
}

function sortNodes(
  nodes: MapNode[],
  sort: string,
  model: MapModel,
  links: ReadonlyMap<string, number>,
): MapNode[] {
  const sign = sort.startsWith("-") ? -1 : 1;
  const byAddress = (a: MapNode, b: MapNode) => addressOrder(a.addresses[0] ?? "~", b.addresses[0] ?? "~");
  const orders: Record<string, (a: MapNode, b: MapNode) => number> = {
    name: (a, b) => addressOrder(a.name, b.name),
    status: (a, b) => a.status.localeCompare(b.status),
    address: byAddress,
    network: (a, b) => addressOrder(networkName(model, a), networkName(model, b)) || byAddress(a, b),
    links: (a, b) => (links.get(a.id) ?? 0) - (links.get(b.id) ?? 0),
  };
  const order = orders[sort.replace(/^-/, "")] ?? byAddress;
  return nodes.sort((a, b) => sign * order(a, b));
}

function firstAddress({ addresses }: MapNode): string {
  return `${addresses[0] ?? ""}${addresses.length > 1 ? ` +${addresses.length - 1}` : ""}`;
}

function useColumns(model: MapModel, links: ReadonlyMap<string, number>): Column<MapNode>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("asset.name"),
        sortable: true,
        width: { min: 120, max: 360, extra: 24, text: (row) => row.name },
        cell: (row) => (
          <>
            <KindIcon kind={row.kind} role={row.role} />
            <span className="truncate">{row.name}</span>
          </>
        ),
      },
      {
        id: "status",
        header: t("asset.status"),
        sortable: true,
        width: { min: 84, max: 160, extra: 18, text: (row) => t(`status.${row.status}`) },
        cell: (row) => <StatusMark status={row.status} withText />,
      },
      {
        id: "address",
        header: t("asset.addresses"),
        sortable: true,
        width: { min: 116, max: 320, mono: true, text: firstAddress },
        cell: (row) => (
          <span className="mono">
            {row.addresses[0]}
            {row.addresses.length > 1 ? (
              <span className="text-muted"> +{row.addresses.length - 1}</span>
            ) : null}
          </span>
        ),
      },
      {
        id: "network",
        header: t("map.network"),
        sortable: true,
        className: "text-muted",
        width: { min: 96, max: 320, rank: 1, text: (row) => networkName(model, row) },
        cell: (row) => networkName(model, row),
      },
      {
        id: "ports",
        header: t("map.ports"),
        width: { min: 96, max: 360, mono: true, rank: 4, text: portsText },
        cell: (row) => <span className="mono text-muted">{portsText(row)}</span>,
      },
      {
        id: "links",
        header: t("asset.links"),
        sortable: true,
        width: { min: 64, max: 88, rank: 2 },
        cell: (row) => links.get(row.id) ?? 0,
      },
      {
        id: "pinned",
        header: t("map.place"),
        className: "text-muted",
        width: { min: 72, max: 120, rank: 3, text: (row) => (isPinned(row) ? t("map.pinned") : "") },
        cell: (row) => (isPinned(row) ? t("map.pinned") : ""),
      },
    ],
    [t, model, links],
  );
}
