import { createFileRoute } from "@tanstack/react-router";
import { AccountPage, type AccountSearch } from "#/features/account/page";
import { useGo } from "../-go";
import { text } from "../-search";

export const Route = createFileRoute("/_auth/account")({
  staticData: { needs: null },
  validateSearch: (search: Record<string, unknown>): AccountSearch => ({
    linked: text(search.linked),
  }),
  component: Account,
});

function Account() {
  const go = useGo<AccountSearch>("/account", true);
  return <AccountPage search={Route.useSearch()} go={go} />;
}
