import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { AssetKind, Finding } from "#/api/schema";
import { useAuth } from "#/api/session";
import { assetKinds, KindIcon, roleName } from "#/domain/asset";
import { modelName } from "#/domain/product";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { Badge, ErrorBox } from "#/ui/feedback";
import { SelectField, TextField } from "#/ui/field";
import { useUnsaved } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { Confidence } from "./confidence";
import { useAccept, useIgnore, useReopen } from "./queries";

export function FindingPanel({
  finding,
  onClose,
  onNext,
}: {
  finding: Finding;
  onClose: () => void;
  onNext: () => void;
}) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const { proposal } = finding;
  const [name, setName] = useState(proposal.name);
  const [kind, setKind] = useState<AssetKind>(proposal.kind);
  const { saved } = useUnsaved(name !== proposal.name || kind !== proposal.kind);
  const accept = useAccept();
  const ignore = useIgnore();
  const reopen = useReopen();
  const writes = can("discovery:write");
  const next = () => {
    saved();
    onNext();
  };
  const open = finding.state === "open";
  const error = accept.error ?? ignore.error ?? reopen.error;

  const facts = [
    [t("asset.role"), proposal.role && roleName(proposal.role)],
    [t("asset.vendor"), proposal.vendor],
    [t("asset.model"), modelName(proposal)],
    [t("asset.os"), proposal.os],
  ].filter((row): row is [string, string] => !!row[1]);

  return (
    <Panel
      title={finding.title}
      icon={<KindIcon kind={proposal.kind} role={proposal.role} className="size-5" />}
      subtitle={t(`findingKind.${finding.kind}`)}
      onClose={onClose}
      footer={
        writes && open ? (
          <>
            <Button
              look="primary"
              busy={accept.isPending}
              onClick={() =>
                accept.mutate(
                  {
                    id: finding.id,
                    ...(name.trim() && name.trim() !== proposal.name ? { name: name.trim() } : {}),
                    ...(kind !== proposal.kind ? { kind } : {}),
                  },
                  {
                    onSuccess: () => {
                      toast(t("findings.acceptedOne", { name: name.trim() || proposal.name }));
                      next();
                    },
                  },
                )
              }
            >
              {t("findings.accept")}
            </Button>
            <Button busy={ignore.isPending} onClick={() => ignore.mutate(finding.id, { onSuccess: next })}>
              {t("findings.ignore")}
            </Button>
          </>
        ) : writes && finding.state === "ignored" ? (
          <Button busy={reopen.isPending} onClick={() => reopen.mutate(finding.id, { onSuccess: next })}>
            {t("findings.reopen")}
          </Button>
        ) : finding.asset_id ? (
          <>
            <Link to="/map" search={{ selected: finding.asset_id }} className={buttonClass("primary")}>
              {t("findings.onMap")}
            </Link>
            <Link to="/inventory" search={{ selected: finding.asset_id }} className={buttonClass()}>
              {t("findings.inInventory")}
            </Link>
          </>
        ) : undefined
      }
    >
      {error ? <ErrorBox error={error} className="mb-4" /> : null}
      {writes && open && finding.kind === "new_asset" ? (
        <div className="mb-5 grid grid-cols-[1fr_auto] gap-3">
          <TextField
            label={t("asset.name")}
            value={name}
            maxLength={200}
            onChange={(event) => setName(event.target.value)}
          />
          <SelectField
            label={t("asset.kind")}
            value={kind}
            onChange={(event) => setKind(event.target.value as AssetKind)}
          >
            {assetKinds.map((value) => (
              <option key={value} value={value}>
                {t(`kind.${value}`)}
              </option>
            ))}
          </SelectField>
        </div>
      ) : null}
      <div className="flex items-center justify-between gap-3">
        <Confidence value={finding.confidence} wide />
        <span className="text-xs text-muted">
          {t("findings.lastSeen")} <Time at={finding.last_seen_at} />
        </span>
      </div>
      {facts.length > 0 ? (
        <dl className="mt-4 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
          {facts.map(([label, value]) => (
            <div key={label} className="contents">
              <dt className="text-muted">{label}</dt>
              <dd className="break-words">{value}</dd>
            </div>
          ))}
        </dl>
      ) : null}
      {proposal.addresses.length > 0 ? (
        <Section title={t("asset.addresses")}>
          <ul className="divide-y divide-line border-y border-line">
            {proposal.addresses.map((address) => (
              <li key={address.ip} className="flex flex-wrap items-baseline gap-x-3 py-1.5">
                <span className="mono">{address.ip}</span>
                {address.hostname ? <span>{address.hostname}</span> : null}
                {address.mac ? <span className="mono ml-auto text-xs text-muted">{address.mac}</span> : null}
              </li>
            ))}
          </ul>
        </Section>
      ) : null}
      {proposal.interfaces.length > 0 ? (
        <Section title={t("asset.interfaces")}>
          <ul className="divide-y divide-line border-y border-line">
            {proposal.interfaces.map((nic, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a proposed interface may have no MAC to tell it by
              <li key={at} className="flex items-baseline gap-3 py-1.5">
                <span className="mono">{nic.mac ?? "–"}</span>
                <span className="min-w-0 truncate text-muted">{nic.vendor}</span>
                {nic.random_mac ? <Badge>{t("findings.randomMac")}</Badge> : null}
              </li>
            ))}
          </ul>
        </Section>
      ) : null}
      {proposal.services.length > 0 ? (
        <Section title={t("asset.services")}>
          <ul className="divide-y divide-line border-y border-line">
            {proposal.services.map((service) => (
              <li
                key={`${service.ip} ${service.protocol} ${service.port}`}
                className="flex items-baseline gap-3 py-1.5"
              >
                <span className="mono w-20 shrink-0">
                  {service.port}/{service.protocol}
                </span>
                <span className="min-w-0 flex-1 break-words">
                  {service.name}
                  {service.product ? (
                    <span className="text-muted">
                      {" "}
                      {service.product} {service.version}
                    </span>
                  ) : null}
                </span>
              </li>
            ))}
          </ul>
        </Section>
      ) : null}
      <Section title={t("findings.evidence")}>
        <table className="w-full text-left text-xs">
          <thead>
            <tr className="text-muted">
              <th scope="col" className="py-1 pr-2 font-medium">
                {t("findings.source")}
              </th>
              <th scope="col" className="py-1 pr-2 font-medium">
                {t("findings.fact")}
              </th>
              <th scope="col" className="py-1 font-medium">
                {t("findings.seen")}
              </th>
            </tr>
          </thead>
          <tbody>
            {finding.evidence.map((row, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: evidence has no id of its own
              <tr key={at} className="border-t border-line align-top">
                <td className="py-1.5 pr-2 whitespace-nowrap">
                  {row.source}
                  <span className="mono block text-muted">
                    {row.address}
                    {row.port ? `:${row.port}` : ""}
                  </span>
                </td>
                <td className="py-1.5 pr-2">
                  <span className="text-muted">{row.fact}</span>
                  <span className="mono block break-all">{row.value}</span>
                </td>
                <td className="py-1.5 whitespace-nowrap text-muted">
                  <Time at={row.at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Section>
    </Panel>
  );
}
