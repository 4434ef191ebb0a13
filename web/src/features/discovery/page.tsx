import { type UseQueryResult, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { type ReactNode, useCallback, useRef, useState } from "react";
import { discoveryQuery, scansQuery } from "#/api/queries";
import type { Finding } from "#/api/schema";
import { useAuth } from "#/api/session";
import { Gone, isGone } from "#/domain/gone";
import { NoSuch } from "#/domain/no-such";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/discovery.json";
import { Button } from "#/ui/button";
import { cx } from "#/ui/cx";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { PageHead, WithPanel } from "#/ui/page";
import { Panel } from "#/ui/panel";
import { FindingPanel } from "./finding-panel";
import { Findings } from "./findings";
import { type FindingState, findingInLists, findingQuery, type Grouping, scanQuery } from "./queries";
import { useReview } from "./review";
import { Capabilities, ScanForm } from "./scan-form";
import { activeScans, ScanCard, ScanList } from "./scans";

addWords(words);

export interface DiscoverySearch {
  state?: FindingState;
  tab?: "scans";
  q?: string;
  sort?: string;
  group?: Grouping;
  /** Only the findings of this scan. */
  from?: string;
  finding?: string;
  view?: string;
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
  const client = useQueryClient();
  const scans = useInfiniteQuery(scansQuery);
  const state = search.state ?? "open";
  const tab = search.tab ?? state;
  const active = activeScans(scans.data?.items);
  const finding = useQuery({
    ...findingQuery(search.finding ?? ""),
    enabled: !!search.finding,
    placeholderData: () => findingInLists(client, search.finding ?? ""),
  });
  const review = useReview();
  const rows = useRef<readonly Finding[]>([]);
  const [shown, setShown] = useState(0);
  const onRows = useCallback((next: readonly Finding[]) => {
    rows.current = next;
    setShown(next.length);
  }, []);
  /** Opens the finding that follows `id`; the panel closes behind the last. */
  const goOn = (id: string) => {
    const at = rows.current.findIndex((row) => row.id === id);
    const next = rows.current[at + 1] ?? rows.current[at - 1];
    go({ ...search, finding: next?.id });
    // The panel takes the focus along when it closes.
    if (!next) requestAnimationFrame(() => document.getElementById("discovery-tab")?.focus());
  };
  const onStep = (row: Finding, type: "accept" | "ignore") => {
    if (type === "accept") review.accept(row, {});
    else review.step({ type }, { ids: [row.id] }, [row.id]);
    // With its panel open the next one opens; the table keeps the focus.
    if (search.finding === row.id) goOn(row.id);
    else if (rows.current.length === 1)
      requestAnimationFrame(() => document.getElementById("discovery-tab")?.focus());
  };
  // In the head of a phone there is room for the sign only.
  const beginIn = (head: boolean, look: "plain" | "primary") =>
    can("discovery:write") ? (
      <Button
        look={look}
        onClick={() => go({ ...search, finding: undefined, scan: "new", targets: undefined })}
      >
        <Plus aria-hidden className="size-4" />
        <span className={head ? "max-md:sr-only" : undefined}>{t("scans.begin")}</span>
      </Button>
    ) : null;
  const begin = (look: "plain" | "primary") => beginIn(false, look);
  const offersBegin =
    tab === "scans"
      ? scans.data?.items.length === 0
      : tab === "open" && shown === 0 && !search.q && !search.from && active.length === 0;

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
    ) : finding.data && search.finding && !isGone(finding) ? (
      <FindingPanel
        finding={finding.data}
        review={review}
        onClose={() => go({ ...search, finding: undefined })}
        onNext={() => goOn(search.finding ?? "")}
      />
    ) : search.finding ? (
      <NoFinding id={search.finding} query={finding} onClose={() => go({ ...search, finding: undefined })} />
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
              onClick={() =>
                go(
                  name === "scans"
                    ? { tab: "scans" }
                    : { state: name, from: search.from, group: search.group },
                )
              }
              className={cx(
                "h-7 rounded px-2.5 whitespace-nowrap max-md:h-9 max-md:flex-1 max-md:px-1",
                tab === name ? "bg-raised font-medium text-ink shadow-sm" : "text-muted hover:text-ink",
              )}
            >
              {t(`findings.tab.${name}`)}
            </button>
          ))}
        </div>
        {/* While findings wait, to accept them comes first. */}
        {offersBegin ? null : beginIn(true, tab === "open" && shown > 0 ? "plain" : "primary")}
      </PageHead>
      <WithPanel panel={panel}>
        <div
          role="tabpanel"
          id="discovery-tab"
          aria-labelledby={`tab-${tab}`}
          tabIndex={-1}
          className="flex min-h-0 flex-1 flex-col outline-none"
        >
          {active.length > 0 && tab !== "scans" ? (
            <ul className="flex flex-col gap-2 border-b border-line p-4">
              {active.map((scan) => (
                <ScanCard key={scan.id} scan={scan} />
              ))}
            </ul>
          ) : null}
          {search.from && tab !== "scans" ? (
            <div className="flex items-center border-b border-line px-4 py-2">
              <OfScan id={search.from} onClear={() => go({ ...search, from: undefined })} />
            </div>
          ) : null}
          {tab === "scans" ? (
            <ScansTab begin={begin("primary")} />
          ) : (
            <Findings
              key={state}
              state={state}
              q={search.q ?? ""}
              sort={search.sort ?? "address"}
              group={search.group}
              from={search.from}
              review={review}
              onRows={onRows}
              onStep={onStep}
              shown={{
                q: search.q,
                sort: search.sort,
                state: state === "open" ? undefined : state,
                group: search.group,
                from: search.from,
                view: search.view,
              }}
              onView={(next) => go(next as DiscoverySearch)}
              onList={(next) => go({ ...search, ...next })}
              selected={search.finding}
              onSelect={(row) => go({ ...search, scan: undefined, finding: row?.id })}
              // A scan that is at work is shown above.
              begin={active.length === 0 ? begin : () => null}
              scanning={active[0] && (active[0].status === "running" ? "running" : "queued")}
            />
          )}
        </div>
      </WithPanel>
    </>
  );
}

/** While a finding is not there: it is on its way, it cannot be read, or nobody has it. */
function NoFinding({
  id,
  query,
  onClose,
}: {
  id: string;
  query: UseQueryResult<Finding>;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  if (isGone(query)) return <Gone kind="finding" id={id} name={query.data?.title} onClose={onClose} />;
  return (
    <Panel title={t("gone.finding.title")} onClose={onClose}>
      {query.error ? (
        <ErrorBox error={query.error} retry={() => void query.refetch()} />
      ) : (
        <SkeletonLines lines={6} />
      )}
    </Panel>
  );
}

/** Says whose findings are shown, and shows all again. */
function OfScan({ id, onClear }: { id: string; onClear: () => void }) {
  const { t } = useTranslation();
  const scan = useQuery(scanQuery(id));
  if (isGone(scan))
    return <NoSuch text={t("findings.ofNoScan")} all={t("findings.ofAllScans")} onAll={onClear} />;
  return (
    <button
      type="button"
      onClick={onClear}
      className="inline-flex min-h-7 items-center gap-1.5 rounded border border-line-strong px-2 text-left hover:bg-hover"
    >
      {t("findings.ofScan", { targets: scan.data?.targets.join(", ") ?? "…" })}
      <X aria-hidden className="size-3.5 shrink-0 text-muted" />
      <span className="sr-only">{t("table.clearFilter")}</span>
    </button>
  );
}

function ScansTab({ begin }: { begin: ReactNode }) {
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
          <ScanList begin={begin} />
        </div>
        {discovery.data ? (
          <section
            aria-labelledby="capabilities"
            className="h-fit rounded-md border border-line bg-surface p-4"
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
