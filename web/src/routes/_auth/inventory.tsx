import { createFileRoute } from "@tanstack/react-router";
import { InventoryPage, type InventorySearch } from "#/features/inventory/page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["name", "status", "address", "kind", "role", "vendor", "last_seen_at", "created_at"];

export const Route = createFileRoute("/_auth/inventory")({
  staticData: { needs: "inventory:read" },
  validateSearch: (search: Record<string, unknown>): InventorySearch => ({
    q: text(search.q),
    network: id(search.network),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new"]),
  }),
  component: Inventory,
});

function Inventory() {
  const go = useGo<InventorySearch>("/inventory");
  return <InventoryPage search={Route.useSearch()} go={go} />;
}
