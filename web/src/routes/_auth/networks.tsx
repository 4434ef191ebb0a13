import { createFileRoute } from "@tanstack/react-router";
import { NetworksPage, type NetworksSearch } from "#/features/networks/page";
import { useGo } from "../-go";
import { sortOf, text } from "../-search";

const sorts = ["name", "cidr", "vlan", "use", "free", "conflicts", "gateway", "scanned"];

export const Route = createFileRoute("/_auth/networks")({
  staticData: { needs: "inventory:read" },
  validateSearch: (search: Record<string, unknown>): NetworksSearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    sort: sortOf(search.sort, sorts, "cidr"),
    view: text(search.view),
    selected: text(search.selected),
    panel: search.panel === "edit" ? "edit" : undefined,
  }),
  component: Networks,
});

function Networks() {
  const go = useGo<NetworksSearch>("/networks");
  return <NetworksPage search={Route.useSearch()} go={go} />;
}
