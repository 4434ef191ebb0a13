import { createFileRoute } from "@tanstack/react-router";
import { UsersPage, type UsersSearch } from "#/features/users/page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["username", "role", "last_login_at"];

export const Route = createFileRoute("/_auth/users")({
  staticData: { needs: "users:read" },
  validateSearch: (search: Record<string, unknown>): UsersSearch => ({
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "username"),
    view: text(search.view),
    tab: oneOf(search.tab, ["invites"]),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new", "invite"]),
  }),
  component: Users,
});

function Users() {
  const go = useGo<UsersSearch>("/users");
  return <UsersPage search={Route.useSearch()} go={go} />;
}
