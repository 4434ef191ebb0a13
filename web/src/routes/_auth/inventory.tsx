import { createFileRoute } from "@tanstack/react-router";
import { InventoryPage, type InventorySearch } from "#/features/inventory/page";
import { useGo } from "../-go";

const sorts = [
  "name",
  "-name",
  "kind",
  "-kind",
  "last_seen_at",
  "-last_seen_at",
  "created_at",
  "-created_at",
];
const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

export const Route = createFileRoute("/_auth/inventory")({
  validateSearch: (search: Record<string, unknown>): InventorySearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    network: text(search.network),
    sort: sorts.find((sort) => sort === search.sort),
    selected: text(search.selected),
    panel: search.panel === "new" ? "new" : undefined,
  }),
  component: Inventory,
});

function Inventory() {
  const go = useGo<InventorySearch>("/inventory");
  return <InventoryPage search={Route.useSearch()} go={go} />;
}
