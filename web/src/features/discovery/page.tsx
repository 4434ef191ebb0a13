import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { discoveryQuery, isActive, scansQuery } from "#/api/queries";
import { useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/discovery.json";
import { Button } from "#/ui/button";
import { cx } from "#/ui/cx";
import { PageHead, WithPanel } from "#/ui/page";
import { Panel } from "#/ui/panel";
import { FindingPanel } from "./finding-panel";
import { Findings } from "./findings";
import { type FindingState, findingQuery } from "./queries";
import { Capabilities, ScanForm } from "./scan-form";
import { ScanCard, ScanList } from "./scans";

addWords(words);

export interface DiscoverySearch {
  state?: FindingState;
  tab?: "scans";
  q?: string;
  sort?: string;
  finding?: string;
  scan?: "new";
  /** What the scan form begins with, such as a network. */
  targets?: string;
}
interface DiscoveryPageProps {
  search: DiscoverySearch;
  go: (next: DiscoverySearch) => void;
}

const tabs = ["open", "accepted", "ignored", "scans"] as const;

export function DiscoveryPage({ search, go }: DiscoveryPageProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const scans = useInfiniteQuery(scansQuery);
  const state = search.state ?? "open";
  const tab = search.tab ?? state;
  const active = scans.data?.items.filter((scan) => isActive(scan.status)) ?? [];
  const finding = useQuery({ ...findingQuery(search.finding ?? ""), enabled: !!search.finding });
  const begin = can("discovery:write") ? (
    <Button
      look="primary"
      onClick={() => go({ ...search, finding: undefined, scan: "new", targets: undefined })}
    >
      <Plus aria-hidden className="size-4" />
      {t("scans.begin")}
    </Button>
  ) : null;

  const panel =
    search.scan === "new" && can("discovery:write") ? (
      <Panel title={t("scans.begin")} onClose={() => go({ ...search, scan: undefined, targets: undefined })}>
        <ScanForm
          key={search.targets}
          showCapabilities
          targets={search.targets}
          startLabel={t("scan.start")}
          onStarted={() => go({ state: "open" })}
        />
      </Panel>
    ) : finding.data && search.finding ? (
      <FindingPanel
        key={finding.data.id}
        finding={finding.data}
        onClose={() => go({ ...search, finding: undefined })}
        onNext={() => go({ ...search, finding: undefined })}
      />
    ) : undefined;

  return (
    <>
      <PageHead title={t("pages.discovery")}>
        <div
          role="tablist"
          aria-label={t("findings.states")}
          className="flex gap-1 rounded-md bg-sunken p-0.5 max-md:flex-1"
        >
          {tabs.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-controls="discovery-tab"
              aria-selected={tab === name}
              onClick={() => go(name === "scans" ? { tab: "scans" } : { state: name })}
              className={cx(
                "h-7 rounded px-2.5 max-md:h-9 max-md:flex-1 max-md:px-1",
                tab === name ? "bg-raised font-medium text-ink shadow-sm" : "text-muted hover:text-ink",
              )}
            >
              {t(`findings.tab.${name}`)}
            </button>
          ))}
        </div>
        {begin}
      </PageHead>
      <WithPanel panel={panel}>
        <div
          role="tabpanel"
          id="discovery-tab"
          aria-labelledby={`tab-${tab}`}
          className="flex min-h-0 flex-1 flex-col"
        >
          {active.length > 0 && tab !== "scans" ? (
            <ul className="flex flex-col gap-2 border-b border-line p-4">
              {active.map((scan) => (
                <ScanCard key={scan.id} scan={scan} />
              ))}
            </ul>
          ) : null}
          {tab === "scans" ? (
            <ScansTab />
          ) : (
            <Findings
              key={state}
              state={state}
              q={search.q ?? ""}
              sort={search.sort ?? "address"}
              onList={(next) => go({ ...search, ...next })}
              selected={search.finding}
              onSelect={(row) => go({ ...search, scan: undefined, finding: row?.id })}
              begin={begin}
            />
          )}
        </div>
      </WithPanel>
    </>
  );
}

function ScansTab() {
  const { t } = useTranslation();
  const discovery = useQuery(discoveryQuery);
  return (
    <section
      className="min-h-0 flex-1 overflow-y-auto p-4"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      aria-label={t("findings.tab.scans")}
    >
      <div className="grid gap-6 xl:grid-cols-[1fr_22rem]">
        <div>
          <ScanList />
        </div>
        {discovery.data ? (
          <section
            aria-labelledby="capabilities"
            className="h-fit rounded-md border border-line bg-surface p-4 max-xl:row-start-1"
          >
            <h2 id="capabilities" className="mb-3 font-semibold">
              {t("scan.capabilities")}
            </h2>
            <Capabilities discovery={discovery.data} />
          </section>
        ) : null}
      </div>
    </section>
  );
}
