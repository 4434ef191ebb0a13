/** Where to look and with what: used by the setup wizard and by the discovery page. */
import { useQuery } from "@tanstack/react-query";
import { Check, Info } from "lucide-react";
import { type ReactNode, useState } from "react";
import { ApiError } from "#/api/client";
import { discoveryQuery } from "#/api/queries";
import type { Discovery, Scan, ScanPlan } from "#/api/schema";
import { addressesTried, checkTargets, widest } from "#/domain/address";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { ErrorBox, SkeletonLines, Warning } from "#/ui/feedback";
import { Checkbox, SelectField, TextArea } from "#/ui/field";
import { Form } from "#/ui/form";
import { proposed } from "./proposed";
import { useScanPlan, useStartScan } from "./queries";

const probes = ["arp", "icmp", "tcp_ping", "ports", "fingerprints", "reverse_dns", "mdns", "ssdp"] as const;

export function Capabilities({ discovery }: { discovery: Pick<Discovery, "capabilities"> }) {
  const { t } = useTranslation();
  return (
    <ul className="flex flex-col gap-2">
      {discovery.capabilities.map((capability) => (
        <li key={capability.name} className="flex gap-2.5">
          {capability.available ? (
            <Check aria-hidden className="mt-0.5 size-4 shrink-0 text-up-text" />
          ) : (
            <Info aria-hidden className="mt-0.5 size-4 shrink-0 text-degraded-text" />
          )}
          <div className="min-w-0">
            <span className="font-medium">
              {t(`capability.${capability.name}.name`, { defaultValue: capability.name })}
            </span>{" "}
            <span className="text-muted">
              {capability.available
                ? t(`capability.${capability.name}.can`, { defaultValue: "" })
                : t(`capability.${capability.name}.cannot`, { defaultValue: "" })}
            </span>
            {!capability.available && capability.reason ? <Reason text={capability.reason} /> : null}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** A reason may carry the mending command between backticks; it is then shown as something to copy. */
function Reason({ text }: { text: string }) {
  return (
    <p className="mt-0.5 break-words text-muted">
      {text.split("`").map((part, at) =>
        at % 2 === 1 ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one fixed sentence
          <code key={at} className="mono rounded bg-hover px-1 py-0.5 break-words text-ink select-all">
            {part}
          </code>
        ) : (
          part
        ),
      )}
    </p>
  );
}

interface ScanFormProps {
  onStarted: (scan: Scan) => void;
  startLabel: string;
  /** What it begins with, in place of this server's own networks. */
  targets?: string;
  secondary?: ReactNode;
  showCapabilities?: boolean;
}

export function ScanForm(props: ScanFormProps) {
  const discovery = useQuery(discoveryQuery);
  if (discovery.error) return <ErrorBox error={discovery.error} retry={() => void discovery.refetch()} />;
  if (!discovery.data) return <SkeletonLines lines={7} />;
  return <ScanFields {...props} discovery={discovery.data} />;
}

function ScanFields({
  discovery,
  targets: given,
  onStarted,
  startLabel,
  secondary,
  showCapabilities,
}: ScanFormProps & { discovery: Discovery }) {
  const { t } = useTranslation();
  // The main site has no name.
  const [site, setSite] = useState("");
  const here = discovery.sites.find(({ name }) => name === site) ?? discovery;
  const proposal = (networks: Discovery["local_networks"]) => given ?? proposed(networks).join("\n");
  const [begin, setBegin] = useState(() => proposal(discovery.local_networks));
  const [text, setText] = useState(begin);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(probes));
  const [tried, setTried] = useState(false);
  const start = useStartScan();
  const plan = useScanPlan();

  const targets = checkTargets(text, discovery.max_prefix);
  const bad = targets.find((target) => target.problem);
  const problem =
    targets.length === 0
      ? t("scan.targetsNeeded")
      : bad?.problem
        ? t(`scan.problem.${bad.problem}`, {
            target: bad.target,
            prefix: widest(bad.target, discovery.max_prefix),
          })
        : targets.length > discovery.max_targets
          ? t("scan.tooMany", { max: discovery.max_targets })
          : undefined;
  const addresses = addressesTried(targets.map(({ target }) => target));
  const body = {
    targets: targets.map((target) => target.target),
    ...(chosen.size === probes.length ? {} : { probes: probes.filter((probe) => chosen.has(probe)) }),
    ...(site ? { site } : {}),
  };
  const failed = start.error ?? plan.error;
  const refused =
    failed instanceof ApiError
      ? Object.entries(failed.fields).find(([field]) => field.startsWith("targets"))?.[1]
      : undefined;
  const noSite = failed instanceof ApiError ? failed.fields.site : undefined;

  function choose(name: string) {
    const there = discovery.sites.find((one) => one.name === name) ?? discovery;
    const next = proposal(there.local_networks);
    setSite(name);
    // What somebody has typed stays.
    if (text === begin) setText(next);
    setBegin(next);
    start.reset();
    plan.reset();
  }

  // The error is shown from the mutation.
  const begins = () => start.mutateAsync(body).then(onStarted, () => {});

  return (
    <Form
      changed={text !== begin || chosen.size !== probes.length}
      className="flex flex-col gap-4"
      onSubmit={async () => {
        setTried(true);
        if (!problem) await begins();
      }}
    >
      {failed && !refused && !noSite ? <ErrorBox error={failed} /> : null}
      {discovery.sites.length > 0 ? (
        <SelectField
          label={t("scan.site")}
          value={site}
          onChange={(event) => choose(event.target.value)}
          error={noSite}
          help={here.workers === 0 ? t("scan.noWorker") : t("scan.siteHelp")}
        >
          <option value="">{t("scan.mainSite")}</option>
          {discovery.sites.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </SelectField>
      ) : here.workers === 0 ? (
        <Warning>{t("scan.noWorkerNow")}</Warning>
      ) : null}
      <TextArea
        label={t("scan.targets")}
        mono
        rows={Math.min(6, Math.max(2, text.split("\n").length))}
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          start.reset();
          plan.reset();
        }}
        error={(tried || text !== "" ? problem : undefined) ?? refused}
        help={
          <>
            {here.local_networks.length > 0
              ? here.local_networks.map((network) => (
                  <span key={network.cidr} className="block">
                    {t(network.gateway ? "scan.ownWithGateway" : "scan.own", { ...network })}
                  </span>
                ))
              : t(here.workers === 0 ? "scan.noSight" : "scan.noOwn")}
            <span className="block">
              {t("scan.targetsHelp", { prefix: discovery.max_prefix })}{" "}
              {problem ? null : t("scan.addresses", { count: addresses })}
            </span>
          </>
        }
      />
      {showCapabilities && here.capabilities.length > 0 ? (
        <section aria-label={t("scan.capabilities")} className="rounded-md border border-line bg-surface p-3">
          <Capabilities discovery={here} />
        </section>
      ) : null}
      <details className="group">
        <summary className="cursor-pointer text-muted hover:text-ink">{t("scan.probes")}</summary>
        <fieldset className="mt-2 grid grid-cols-2 gap-2">
          <legend className="sr-only">{t("scan.probes")}</legend>
          {probes.map((probe) => (
            <Checkbox
              key={probe}
              label={t(`probe.${probe}`)}
              checked={chosen.has(probe)}
              onChange={(event) => {
                const next = new Set(chosen);
                if (event.target.checked) next.add(probe);
                else if (next.size > 1) next.delete(probe);
                setChosen(next);
              }}
            />
          ))}
        </fieldset>
      </details>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={start.isPending}>
          {startLabel}
        </Button>
        <Button
          busy={plan.isPending}
          onClick={() => {
            setTried(true);
            if (!problem) plan.mutate(body);
          }}
        >
          {t("scan.dryRun")}
        </Button>
        {secondary}
      </div>
      <PlanDialog
        plan={plan.data}
        onClose={() => plan.reset()}
        start={
          <Button
            look="primary"
            busy={start.isPending}
            onClick={() => void begins().finally(() => plan.reset())}
          >
            {startLabel}
          </Button>
        }
      />
    </Form>
  );
}

function PlanDialog({
  plan,
  onClose,
  start,
}: {
  plan: ScanPlan | undefined;
  onClose: () => void;
  start: ReactNode;
}) {
  const { t } = useTranslation();
  return (
    <Dialog
      wide
      open={!!plan}
      onClose={onClose}
      title={t("plan.title")}
      description={t("plan.lead")}
      footer={
        <>
          {start}
          <Button onClick={onClose}>{t("common.close")}</Button>
        </>
      }
    >
      {plan ? (
        <div className="flex flex-col gap-4">
          <dl className="grid grid-cols-2 gap-3">
            <div className="rounded-md border border-line p-3">
              <dt className="text-xs text-muted">{t("plan.addresses")}</dt>
              <dd className="text-lg font-semibold">{counted(plan.addresses)}</dd>
            </div>
            <div className="rounded-md border border-line p-3">
              <dt className="text-xs text-muted">{t("plan.packets")}</dt>
              <dd className="text-lg font-semibold">{counted(plan.packets_estimate)}</dd>
            </div>
          </dl>
          <div>
            <h3 className="mb-1 text-xs font-semibold text-muted">{t("plan.targets")}</h3>
            <ul className="mono">
              {plan.targets.map((target) => (
                <li key={target.target} className="flex justify-between border-b border-line py-1">
                  <span>{target.target}</span>
                  <span className="text-muted">{counted(target.addresses)}</span>
                </li>
              ))}
            </ul>
          </div>
          <div>
            <h3 className="mb-1 text-xs font-semibold text-muted">{t("plan.steps")}</h3>
            <ol className="list-decimal space-y-1 pl-5">
              {plan.steps.map((step) => (
                <li key={step}>{step}</li>
              ))}
            </ol>
            <p className="mt-2 text-muted">{t("plan.rate", { rate: counted(plan.packets_per_second) })}</p>
          </div>
          {plan.never_written_ports.length > 0 ? (
            <p className="text-muted">
              {t("plan.never")} <span className="mono">{plan.never_written_ports.join(", ")}</span>
            </p>
          ) : null}
        </div>
      ) : null}
    </Dialog>
  );
}
