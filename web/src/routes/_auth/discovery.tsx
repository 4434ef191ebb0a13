import { createFileRoute } from "@tanstack/react-router";
import { DiscoveryPage, type DiscoverySearch } from "#/features/discovery/page";

/** As `Grouping` has them; named here, so that the route does not load the page's code. */
const groupings = ["network", "kind", "role"] as const;

import { useGo } from "../-go";
import { sortOf, text } from "../-search";

const sorts = ["title", "address", "role", "vendor", "confidence", "created_at", "last_seen_at"];

export const Route = createFileRoute("/_auth/discovery")({
  staticData: { needs: "discovery:read" },
  validateSearch: (search: Record<string, unknown>): DiscoverySearch => ({
    state:
      search.state === "open" || search.state === "accepted" || search.state === "ignored"
        ? search.state
        : undefined,
    tab: search.tab === "scans" ? "scans" : undefined,
    q: search.q === undefined ? undefined : String(search.q),
    sort: sortOf(search.sort, sorts, "address"),
    view: text(search.view),
    group: groupings.find((one) => one === search.group),
    from: text(search.from),
    finding: text(search.finding),
    scan: search.scan === "new" ? "new" : undefined,
    targets: text(search.targets),
  }),
  component: Discovery,
});

function Discovery() {
  const go = useGo<DiscoverySearch>("/discovery");
  return <DiscoveryPage search={Route.useSearch()} go={go} />;
}
