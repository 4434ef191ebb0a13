import { createFileRoute } from "@tanstack/react-router";
import { NetworksPage, type NetworksSearch } from "#/features/networks/page";
import { useGo } from "../-go";

export const Route = createFileRoute("/_auth/networks")({
  validateSearch: (search: Record<string, unknown>): NetworksSearch => ({
    selected: typeof search.selected === "string" ? search.selected : undefined,
  }),
  component: Networks,
});

function Networks() {
  const go = useGo<NetworksSearch>("/networks");
  return <NetworksPage search={Route.useSearch()} go={go} />;
}
