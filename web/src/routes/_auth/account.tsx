import { createFileRoute } from "@tanstack/react-router";
import { AccountPage, type AccountSearch } from "#/features/account/page";
import { useGo } from "../-go";
import { oneOf, text } from "../-search";

const panels = ["password", "twoFactor", "passkey", "token"] as const;

export const Route = createFileRoute("/_auth/account")({
  staticData: { needs: null },
  validateSearch: (search: Record<string, unknown>): AccountSearch => ({
    linked: text(search.linked),
    panel: oneOf(search.panel, panels),
  }),
  component: Account,
});

function Account() {
  const go = useGo<AccountSearch>("/account", true);
  return <AccountPage search={Route.useSearch()} go={go} />;
}
