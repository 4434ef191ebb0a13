import { createFileRoute } from "@tanstack/react-router";
import { CredentialsPage, type CredentialsSearch } from "#/features/credentials/page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["name", "kind", "last_used_at", "secret_changed_at"];

export const Route = createFileRoute("/_auth/vault")({
  staticData: { needs: "credentials:read" },
  validateSearch: (search: Record<string, unknown>): CredentialsSearch => ({
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new"]),
  }),
  component: Vault,
});

function Vault() {
  const go = useGo<CredentialsSearch>("/vault");
  return <CredentialsPage search={Route.useSearch()} go={go} />;
}
