import { createFileRoute } from "@tanstack/react-router";
import { NetworksPage, type NetworksSearch } from "#/features/networks/page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["name", "cidr", "vlan", "use", "free", "conflicts", "gateway", "scanned"];

export const Route = createFileRoute("/_auth/networks")({
  staticData: { needs: "inventory:read" },
  validateSearch: (search: Record<string, unknown>): NetworksSearch => ({
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "cidr"),
    view: text(search.view),
    selected: search.selected === "new" ? "new" : id(search.selected),
    panel: oneOf(search.panel, ["edit"]),
  }),
  component: Networks,
});

function Networks() {
  const go = useGo<NetworksSearch>("/networks");
  return <NetworksPage search={Route.useSearch()} go={go} />;
}
