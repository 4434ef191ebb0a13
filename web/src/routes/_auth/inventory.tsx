import { createFileRoute, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { InventoryPage, type InventorySearch } from "#/features/inventory/page";

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
  const navigate = useNavigate();
  const go = useCallback(
    (next: InventorySearch) => void navigate({ to: "/inventory", search: next }),
    [navigate],
  );
  return <InventoryPage search={Route.useSearch()} go={go} />;
}
