/** Everything about one asset, in the side panel. The same on the inventory page and on the map. */
import { useQuery } from "@tanstack/react-query";
import { Pencil, PenLine, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { http } from "#/api/client";
import { assetQuery } from "#/api/queries";
import type { AssetDetail } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName, StatusMark, TagChip } from "#/domain/asset";
import { useRemoval } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import { IconButton } from "#/ui/button";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Panel, Section } from "#/ui/panel";
import { Time } from "#/ui/time";
import { AssetForm } from "./asset-form";
import { Links } from "./links";
import { Addresses, Interfaces } from "./parts";
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
  const remove = useRemoval();
  const [editing, setEditing] = useState(false);
  const writes = can("inventory:write");

  if (asset.error && !asset.data) {
    return (
      <Panel title={t("asset.title")} onClose={onClose}>
        <ErrorBox error={asset.error} retry={() => void asset.refetch()} />
      </Panel>
    );
  }
  if (!asset.data) {
    return (
      <Panel title={t("common.loading")} onClose={onClose}>
        <SkeletonLines lines={9} />
      </Panel>
    );
  }
  const data = asset.data;
  if (editing)
    return <AssetForm asset={data} onClose={() => setEditing(false)} onSaved={() => setEditing(false)} />;

  return (
    <Panel
      title={data.name}
      icon={<KindIcon kind={data.kind} role={data.role} className="size-5" />}
      subtitle={[t(`kind.${data.kind}`), data.role && roleName(data.role)].filter(Boolean).join(" · ")}
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
      {actions ? <div className="mt-4 flex flex-wrap gap-2">{actions}</div> : null}
      {data.notes ? (
        <Section title={t("asset.notes")}>
          <p className="break-words whitespace-pre-wrap">{data.notes}</p>
        </Section>
      ) : null}
      <Addresses asset={data} writes={writes} />
      <Services asset={data} />
      <Interfaces asset={data} writes={writes} />
      <Links asset={data} writes={writes} onOpen={onOpen} />
    </Panel>
  );
}

function Facts({ asset }: { asset: AssetDetail }) {
  const { t } = useTranslation();
  const typed = new Set(asset.typed_fields);
  const rows: [field: string, label: string, value: ReactNode][] = [
    ["vendor", t("asset.vendor"), asset.vendor],
    ["model", t("asset.model"), asset.model],
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
            {t("asset.statusSet", { seen: t(`status.${asset.status_seen}`).toLowerCase() })}
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

function Services({ asset }: { asset: AssetDetail }) {
  const { t } = useTranslation();
  if (asset.services.length === 0) return null;
  const several = asset.address_list.length > 1;
  const ips = new Map(asset.address_list.map((address) => [address.id, address.ip]));
  const rows = [...asset.services].sort((a, b) => a.port - b.port);
  return (
    <Section title={t("asset.services")}>
      <ul className="divide-y divide-line border-y border-line">
        {rows.map((service) => (
          <li key={service.id} className="flex min-h-9 items-center gap-3 py-1">
            <span className="mono w-20 shrink-0">
              {service.port}/{service.protocol}
            </span>
            <span className="min-w-0 flex-1 break-words">
              {service.name}{" "}
              <span className="text-muted">
                {service.product} {service.version_text}
              </span>
            </span>
            {several && service.address_id ? (
              <span className="mono text-xs text-muted">{ips.get(service.address_id)}</span>
            ) : null}
            {service.confidence < 40 ? <Badge>{t("service.guess")}</Badge> : null}
          </li>
        ))}
      </ul>
    </Section>
  );
}
