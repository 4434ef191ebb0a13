/** One network in the side panel: how full it is, what is free, who shares an address. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes, EthernetPort, Pencil, Trash2 } from "lucide-react";
import type { ReactNode } from "react";
import { http } from "#/api/client";
import { networkQuery, networksQuery } from "#/api/queries";
import type { AddressConflict, Network } from "#/api/schema";
import { useAuth } from "#/api/session";
import { widest } from "#/domain/address";
import { AssetLink } from "#/domain/asset-link";
import { useRemoval } from "#/domain/removal";
import { counted, useTranslation } from "#/i18n";
import { buttonClass, IconButton } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Markdown } from "#/ui/markdown";
import { Panel, Section } from "#/ui/panel";
import { CopyButton } from "#/ui/secret";
import { UseBar } from "./fullness";
import { LastScan, ScanLink, useScanning } from "./scan";

interface NetworkPanelProps {
  network: Network;
  onClose: () => void;
  onEdit: () => void;
}

export function NetworkPanel({ network, onClose, onEdit }: NetworkPanelProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const remove = useRemoval();
  const { may, prefix, takes } = useScanning();
  // A network that a scan made is named by its range, which is not said twice.
  const place = [
    network.cidr === network.name ? "" : network.cidr,
    network.vlan === null ? "" : `${t("networks.vlan")} ${network.vlan}`,
  ].filter(Boolean);
  return (
    <Panel
      title={network.name}
      icon={<EthernetPort aria-hidden className="size-5 shrink-0 text-muted" />}
      subtitle={place.length > 0 ? <span className="mono">{place.join(" · ")}</span> : undefined}
      onClose={onClose}
      actions={
        can("inventory:write") ? (
          <>
            <IconButton label={t("common.editOf", { name: network.name })} onClick={onEdit}>
              <Pencil aria-hidden className="size-4" />
            </IconButton>
            <IconButton
              label={t("common.deleteOf", { name: network.name })}
              onClick={() => {
                remove({
                  ids: [network.id],
                  text: t("common.deleted", { name: network.name }),
                  resource: "networks",
                  send: (id) => http.DELETE("/api/v1/networks/{id}", { params: { path: { id } } }),
                  invalidate: [networksQuery.queryKey, ["map"]],
                });
                onClose();
              }}
            >
              <Trash2 aria-hidden className="size-4" />
            </IconButton>
          </>
        ) : undefined
      }
    >
      <UseBar wide network={network} />
      <Facts network={network} />
      <div className="mt-4 flex flex-wrap items-center gap-2">
        {takes(network) ? <ScanLink network={network} /> : null}
        <Link to="/inventory" search={{ network: network.id }} className={buttonClass()}>
          <Boxes aria-hidden className="size-4" />
          {t("networks.show")}
        </Link>
      </div>
      {may && !takes(network) ? (
        <p className="mt-2 text-xs text-muted">
          {t("networks.tooWide", { prefix: widest(network.cidr, prefix) })}
        </p>
      ) : null}
      <Conflicts network={network} />
      {network.notes ? (
        <Section title={t("networks.notes")}>
          <Markdown text={network.notes} />
        </Section>
      ) : null}
    </Panel>
  );
}

function Facts({ network }: { network: Network }) {
  const { t } = useTranslation();
  const { next_free: next, free, gateway, gateway_asset: owner } = network;
  const rows: [key: string, label: string, value: ReactNode][] = [
    [
      "free",
      t("networks.nextFree"),
      next ? (
        <span key="free" className="flex flex-wrap items-center gap-2">
          <span className="mono">{next}</span>
          <CopyButton icon text={next} label={t("networks.copyFree", { address: next })} />
          {free === null ? null : (
            <span className="text-muted">{t("networks.free", { number: counted(free) })}</span>
          )}
        </span>
      ) : (
        t("networks.noneFree")
      ),
    ],
    [
      "gateway",
      t("networks.gateway"),
      gateway ? (
        <>
          <span className="mono">{gateway}</span>
          {owner ? (
            <AssetLink asset={owner} />
          ) : (
            <span className="text-muted">{t("networks.gatewayUnknown")}</span>
          )}
        </>
      ) : null,
    ],
    ["scan", t("networks.lastScan"), <LastScan key="scan" whole network={network} />],
    ["source", t("asset.source"), t(`source.${network.source}`)],
  ];
  return (
    <dl className="mt-3 grid grid-cols-[auto_1fr] items-baseline gap-x-5 gap-y-1.5">
      {rows.map(([key, label, value]) =>
        value ? (
          <div key={key} className="contents">
            <dt className="text-muted">{label}</dt>
            <dd className="flex min-w-0 flex-wrap items-center gap-x-2.5 break-words">{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}

/** Which addresses several assets have, and which assets. */
function Conflicts({ network }: { network: Network }) {
  const { t } = useTranslation();
  const some = network.conflicts > 0;
  const detail = useQuery({ ...networkQuery(network.id), enabled: some });
  if (!some) return null;
  const list: AddressConflict[] = detail.data?.conflict_list ?? [];
  return (
    <Section title={t("networks.conflicts")}>
      <p className="mb-2 text-muted">{t("networks.conflictsText", { count: network.conflicts })}</p>
      {detail.error && !detail.data ? (
        <ErrorBox error={detail.error} retry={() => void detail.refetch()} />
      ) : detail.data ? (
        <ul className="divide-y divide-line border-y border-line">
          {list.map(({ ip, assets }) => (
            <li key={ip} className="flex min-h-9 flex-wrap items-center gap-x-3 gap-y-1 py-1.5">
              <span className="mono">{ip}</span>
              {assets.map((asset) => (
                <AssetLink key={asset.id} asset={asset} />
              ))}
            </li>
          ))}
        </ul>
      ) : (
        <SkeletonLines lines={2} />
      )}
      {detail.data && network.conflicts > list.length ? (
        <p className="mt-1 text-muted">{t("networks.more", { count: network.conflicts - list.length })}</p>
      ) : null}
    </Section>
  );
}
