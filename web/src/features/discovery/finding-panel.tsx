import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { assetQuery } from "#/api/queries";
import type { Finding } from "#/api/schema";
import { useAuth } from "#/api/session";
import { KindIcon, roleName } from "#/domain/asset";
import { AssetLink } from "#/domain/asset-link";
import { isGone } from "#/domain/gone";
import { modelName } from "#/domain/product";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { Badge } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { useUnsaved } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { relativeTime, Time } from "#/ui/time";
import { Confidence } from "./confidence";
import { factText, seenText, sourceText } from "./evidence";
import { KindRoleField, readWhat, writeWhat } from "./kind-role";
import type { Review } from "./review";

type Translate = ReturnType<typeof useTranslation>["t"];

/** What a person has typed over a proposal that is not accepted yet. */
interface Draft {
  id: string;
  name: string;
  what: string;
}

interface FindingPanelProps {
  finding: Finding;
  review: Review;
  /** Goes on to the next finding. */
  onNext: () => void;
  onClose: () => void;
}

/** One and the same panel for each finding in turn, so that the focus stays on the button that was pressed. */
export function FindingPanel({ finding, review, onNext, onClose }: FindingPanelProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const { proposal } = finding;
  const proposed: Draft = {
    id: finding.id,
    name: proposal.name,
    what: writeWhat(proposal.kind, proposal.role),
  };
  const [typed, setTyped] = useState<Draft>(proposed);
  const draft = typed.id === finding.id ? typed : proposed;
  const { saved } = useUnsaved(draft.name !== proposed.name || draft.what !== proposed.what);
  const writes = can("discovery:write");
  const open = finding.state === "open";
  const accepts = writes && open && can("inventory:write");

  const facts = [
    [t("asset.kind"), proposal.role && roleName(proposal.role)],
    [t("asset.vendor"), proposal.vendor],
    [t("asset.model"), modelName(proposal)],
    [t("asset.os"), proposal.os],
  ].filter((row): row is [string, string] => !!row[1]);

  function next(): void {
    saved();
    onNext();
  }
  function accept(): void {
    const name = draft.name.trim();
    review.accept(finding, {
      ...(name && name !== proposal.name ? { name } : {}),
      ...(draft.what !== proposed.what ? readWhat(draft.what) : {}),
    });
    next();
  }
  function step(type: "ignore" | "reopen"): void {
    review.step({ type }, { ids: [finding.id] }, [finding.id]);
    next();
  }
  const latest = useRef({ accept, step });
  useEffect(() => {
    latest.current = { accept, step };
  });
  useEffect(() => {
    if (!writes || !open) return;
    function onKey(event: KeyboardEvent): void {
      const { target, key } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (!(target instanceof HTMLElement) || !target.closest("[data-panel]")) return;
      if (target.closest("input,select,textarea")) return;
      if (key === "a" && accepts) latest.current.accept();
      else if (key === "i") latest.current.step("ignore");
      else if (key === "u") review.undoLast();
      else return;
      event.preventDefault();
    }
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [writes, open, accepts, review]);

  return (
    <Panel
      title={finding.title}
      icon={<KindIcon kind={proposal.kind} role={proposal.role} className="size-5" />}
      subtitle={finding.state === "open" ? t(`findingKind.${finding.kind}`) : doneText(finding, t)}
      onClose={onClose}
      footer={
        writes && open ? (
          <>
            {accepts ? (
              <Button look="primary" aria-keyshortcuts="a" onClick={accept}>
                {t("findings.accept")}
                <Key name="A" />
              </Button>
            ) : null}
            <Button aria-keyshortcuts="i" onClick={() => step("ignore")}>
              {t("findings.ignore")}
              <Key name="I" />
            </Button>
          </>
        ) : writes && finding.state === "ignored" ? (
          <Button onClick={() => step("reopen")}>{t("findings.reopen")}</Button>
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
      {accepts && finding.kind === "new_asset" ? (
        <div className="mb-5 grid grid-cols-[1fr_auto] gap-3">
          <TextField
            label={t("asset.name")}
            value={draft.name}
            maxLength={200}
            onChange={(event) => setTyped({ ...draft, name: event.target.value })}
            onKeyDown={(event) => {
              if (event.key === "Enter") accept();
            }}
          />
          <KindRoleField
            label={t("asset.kind")}
            value={draft.what}
            onChange={(what) => setTyped({ ...draft, what })}
          />
        </div>
      ) : null}
      {finding.state === "accepted" ? <Became id={finding.asset_id} /> : null}
      <div className="flex items-center justify-between gap-3">
        <Confidence whole value={finding.confidence} />
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
                  {sourceText(row.source, t)}
                  <span className="mono block text-muted">
                    {row.address}
                    {row.port ? `:${row.port}` : ""}
                  </span>
                </td>
                <td className="py-1.5 pr-2">
                  <span className="text-muted">{factText(row.fact, t)}</span>
                  <span className="mono block wrap-anywhere">{seenText(row, t)}</span>
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

/** Who accepted or ignored a finding, and when. */
function doneText({ state, resolved_by: name, resolved_at: at }: Finding, t: Translate): string {
  if (state === "open") return "";
  const distance = at ? relativeTime(Date.parse(at), Date.now(), "en") : "";
  const when = distance === "now" ? t("findingDone.now") : distance;
  const text = name ? t(`findingDone.${state}`, { name, when }) : t(`findingDone.${state}Plain`, { when });
  return text.trim();
}

/** What became of an accepted finding. */
function Became({ id }: { id: string | null }) {
  const { t } = useTranslation();
  const asset = useQuery({ ...assetQuery(id ?? ""), enabled: !!id });
  if (!id) return null;
  if (isGone(asset)) return <p className="mb-4 text-muted">{t("findingDone.gone")}</p>;
  return asset.data ? (
    <p className="mb-4 flex flex-wrap items-center gap-x-2">
      {t("findingDone.asset")} <AssetLink asset={asset.data} />
    </p>
  ) : null;
}

/** The key that does the same. */
function Key({ name }: { name: string }) {
  return (
    <kbd
      aria-hidden
      className="rounded border border-current px-1 font-sans text-[11px] leading-4 opacity-60 max-md:hidden"
    >
      {name}
    </kbd>
  );
}
