/** Everything about one asset, in the side panel. The same on the inventory page and on the map. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "@tanstack/react-router";
import { Boxes, Map as MapIcon, Pencil, PenLine, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { ApiError, http } from "#/api/client";
import { useAwaySince, useLive, useThrottled } from "#/api/hooks";
import { assetQuery } from "#/api/queries";
import type { Asset, AssetDetail } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName, StatusMark, TagChip } from "#/domain/asset";
import { Gone } from "#/domain/gone";
import { modelName } from "#/domain/product";
import { useRemoval } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import { buttonClass, IconButton } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Markdown } from "#/ui/markdown";
import { Panel, Section } from "#/ui/panel";
import { Time } from "#/ui/time";
import { AssetForm } from "./asset-form";
import { assetInLists } from "./away";
import { Links } from "./links";
import { Addresses, Interfaces } from "./parts";
import { Services } from "./services";
import { Sight } from "./sight";

interface AssetPanelProps {
  id: string;
  onClose: () => void;
  onOpen: (id: string) => void;
  /** What the page around can do with this asset, such as unpin it. */
  actions?: ReactNode;
}

export function AssetPanel({ id, onClose, onOpen, actions }: AssetPanelProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const asset = useQuery(assetQuery(id));
  const client = useQueryClient();
  const away = useAwaySince() !== null;
  const remove = useRemoval();
  const [editing, setEditing] = useState(false);
  const writes = can("inventory:write");
  // Another asset may take one of its addresses, so every change may be one of this.
  const refresh = useThrottled(() => void asset.refetch(), 1_000);
  useLive("topology", (message) => {
    if (message.type === "node" || message.type === "node_removed" || message.type === "resync") refresh();
  });
  const gone = asset.error instanceof ApiError && asset.error.status === 404;

  if (editing && asset.data)
    return (
      <AssetForm
        asset={asset.data}
        gone={gone}
        onClose={() => setEditing(false)}
        onSaved={() => setEditing(false)}
      />
    );
  if (gone) return <Gone kind="asset" id={id} name={asset.data?.name} onClose={onClose} />;
  if (asset.error && !asset.data) {
    return (
      <Panel title={t("asset.title")} onClose={onClose}>
        <ErrorBox error={asset.error} retry={() => void asset.refetch()} />
      </Panel>
    );
  }
  const head = (of: Asset) => ({
    title: of.name,
    icon: <KindIcon kind={of.kind} role={of.role} className="size-5" />,
    subtitle: of.role ? roleName(of.role) : t(`kind.${of.kind}`),
  });
  if (!asset.data) {
    const known = assetInLists(client, id);
    const title = t(away ? "asset.title" : "common.loading");
    return (
      <Panel {...(known ? head(known) : { title })} onClose={onClose}>
        <Known asset={known} />
      </Panel>
    );
  }
  const data = asset.data;

  return (
    <Panel
      {...head(data)}
      onClose={onClose}
      actions={
        writes ? (
          <>
            <IconButton label={t("common.editOf", { name: data.name })} onClick={() => setEditing(true)}>
              <Pencil aria-hidden className="size-4" />
            </IconButton>
            <IconButton
              label={t("common.deleteOf", { name: data.name })}
              onClick={() => {
                remove({
                  ids: [data.id],
                  text: t("common.deleted", { name: data.name }),
                  resource: "assets",
                  send: (one) => http.DELETE("/api/v1/assets/{id}", { params: { path: { id: one } } }),
                  invalidate: [["assets", "list"], ["networks"], ["tags"]],
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
      <Facts asset={data} />
      <div className="mt-4 flex flex-wrap gap-2">
        <Elsewhere id={data.id} />
        {actions}
      </div>
      {data.notes ? (
        <Section title={t("asset.notes")}>
          <Markdown text={data.notes} />
        </Section>
      ) : null}
      <Addresses asset={data} writes={writes} onOpen={onOpen} />
      <Services asset={data} />
      <Interfaces asset={data} writes={writes} />
      <Links asset={data} writes={writes} onOpen={onOpen} />
    </Panel>
  );
}

/** What a list knows of an asset, until it is read. While the server is away that is all there is. */
function Known({ asset }: { asset?: Asset }) {
  const { t } = useTranslation();
  const away = useAwaySince() !== null;
  if (!asset)
    return away ? <p className="text-muted">{t("asset.awayUnknown")}</p> : <SkeletonLines lines={9} />;
  return (
    <>
      <Facts asset={asset} />
      {asset.addresses.length > 0 ? (
        <Section title={t("asset.addresses")}>
          <ul className="mono">
            {asset.addresses.map((ip) => (
              <li key={ip}>{ip}</li>
            ))}
          </ul>
        </Section>
      ) : null}
      <div className="mt-4">
        {away ? <p className="text-muted">{t("asset.awayRest")}</p> : <SkeletonLines lines={6} />}
      </div>
    </>
  );
}

/** The same asset on the other page. */
function Elsewhere({ id }: { id: string }) {
  const { t } = useTranslation();
  const { pathname } = useLocation();
  return (
    <>
      {pathname === "/map" ? null : (
        <Link to="/map" search={{ selected: id }} className={buttonClass()}>
          <MapIcon aria-hidden className="size-4" />
          {t("asset.showOnMap")}
        </Link>
      )}
      {pathname === "/inventory" ? null : (
        <Link to="/inventory" search={{ selected: id }} className={buttonClass()}>
          <Boxes aria-hidden className="size-4" />
          {t("asset.openInInventory")}
        </Link>
      )}
    </>
  );
}

function Facts({ asset }: { asset: Asset & Partial<Pick<AssetDetail, "address_list">> }) {
  const { t } = useTranslation();
  const typed = new Set(asset.typed_fields);
  const rows: [field: string, label: string, value: ReactNode][] = [
    ["vendor", t("asset.vendor"), asset.vendor],
    ["model", t("asset.model"), modelName(asset)],
    ["os", t("asset.os"), asset.os],
    ["source", t("asset.source"), t(`source.${asset.source}`)],
    [
      "first_seen_at",
      t("asset.firstSeen"),
      asset.first_seen_at && <Time key="first" at={asset.first_seen_at} />,
    ],
    ["last_seen_at", t("asset.lastSeen"), asset.last_seen_at && <Time key="last" at={asset.last_seen_at} />],
  ];
  const headline = (["name", "kind", "role"] as const).filter((field) => typed.has(field));
  return (
    <>
      <div className="flex flex-wrap items-center gap-2">
        <StatusMark status={asset.status} withText />
        {asset.status_set ? (
          <span className="inline-flex items-center gap-1.5 text-xs text-muted">
            <PenLine aria-hidden className="size-3 text-accent-text" />
            {t("asset.statusSet", { seen: t(`status.${asset.status_seen}`) })}
          </span>
        ) : null}
        {asset.tags.map((tag) => (
          <TagChip key={tag.id} tag={tag} />
        ))}
      </div>
      <Sight asset={asset} />
      <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-5 gap-y-1">
        {rows.map(([field, label, value]) =>
          value ? (
            <div key={field} className="contents">
              <dt className="text-muted">{label}</dt>
              <dd className="flex items-center gap-1.5 break-words">
                {value}
                {typed.has(field) ? <Typed /> : null}
              </dd>
            </div>
          ) : null,
        )}
      </dl>
      {headline.length > 0 && asset.source === "discovered" ? (
        <p className="mt-2 flex items-center gap-1.5 text-xs text-muted">
          <PenLine aria-hidden className="size-3 text-accent-text" />
          {t("asset.typedHeadline", {
            fields: headline.map((field) => t(`asset.${field}`).toLowerCase()).join(", "),
          })}
        </p>
      ) : null}
    </>
  );
}

/** A person typed this: discovery never overwrites it. */
function Typed() {
  const { t } = useTranslation();
  return (
    <span title={t("asset.typed")}>
      <PenLine aria-hidden className="size-3 text-accent-text" />
      <span className="sr-only">{t("asset.typed")}</span>
    </span>
  );
}
