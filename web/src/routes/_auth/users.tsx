import { createFileRoute } from "@tanstack/react-router";
import { UsersPage, type UsersSearch } from "#/features/users/page";
import { useGo } from "../-go";
import { sortOf, text } from "../-search";

const sorts = ["username", "role", "last_login_at"];

export const Route = createFileRoute("/_auth/users")({
  staticData: { needs: "users:read" },
  validateSearch: (search: Record<string, unknown>): UsersSearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    sort: sortOf(search.sort, sorts, "username"),
    view: text(search.view),
    tab: search.tab === "invites" ? "invites" : undefined,
    selected: typeof search.selected === "string" ? search.selected : undefined,
    panel: search.panel === "new" || search.panel === "invite" ? search.panel : undefined,
  }),
  component: Users,
});

function Users() {
  const go = useGo<UsersSearch>("/users");
  return <UsersPage search={Route.useSearch()} go={go} />;
}
