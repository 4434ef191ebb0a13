import { createFileRoute } from "@tanstack/react-router";
import { NetworksPage, type NetworksSearch } from "#/features/networks/page";
import { useGo } from "../-go";
import { sortOf } from "../-search";

const sorts = ["name", "cidr", "vlan", "gateway", "count", "source"];

export const Route = createFileRoute("/_auth/networks")({
  validateSearch: (search: Record<string, unknown>): NetworksSearch => ({
    sort: sortOf(search.sort, sorts, "cidr"),
    selected: typeof search.selected === "string" ? search.selected : undefined,
  }),
  component: Networks,
});

function Networks() {
  const go = useGo<NetworksSearch>("/networks");
  return <NetworksPage search={Route.useSearch()} go={go} />;
}
