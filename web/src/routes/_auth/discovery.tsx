import { createFileRoute } from "@tanstack/react-router";
import { DiscoveryPage, type DiscoverySearch } from "#/features/discovery/page";

/** As `Grouping` has them; named here, so that the route does not load the page's code. */
const groupings = ["network", "kind", "role"] as const;

import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["title", "address", "role", "vendor", "confidence", "created_at", "last_seen_at"];

export const Route = createFileRoute("/_auth/discovery")({
  staticData: { needs: "discovery:read" },
  validateSearch: (search: Record<string, unknown>): DiscoverySearch => ({
    state: oneOf(search.state, ["open", "accepted", "ignored"]),
    tab: oneOf(search.tab, ["scans"]),
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "address"),
    view: text(search.view),
    group: oneOf(search.group, groupings),
    from: id(search.from),
    finding: id(search.finding),
    scan: oneOf(search.scan, ["new"]),
    targets: text(search.targets),
  }),
  component: Discovery,
});

function Discovery() {
  const go = useGo<DiscoverySearch>("/discovery");
  return <DiscoveryPage search={Route.useSearch()} go={go} />;
}
