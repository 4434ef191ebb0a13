import { createFileRoute } from "@tanstack/react-router";
import { ProvidersPage, type ProvidersSearch } from "#/features/providers/page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

export const Route = createFileRoute("/_auth/settings_/providers")({
  staticData: { needs: "users:read" },
  validateSearch: (search: Record<string, unknown>): ProvidersSearch => ({
    sort: sortOf(search.sort, ["name", "issuer", "enabled"], "name"),
    view: text(search.view),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new"]),
  }),
  component: Providers,
});

function Providers() {
  const go = useGo<ProvidersSearch>("/settings/providers");
  return <ProvidersPage search={Route.useSearch()} go={go} />;
}
