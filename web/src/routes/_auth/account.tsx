import { createFileRoute } from "@tanstack/react-router";
import { AccountPage, type AccountSearch } from "#/features/account/page";
import { useGo } from "../-go";

const panels = ["password", "twoFactor", "passkey", "token"] as const;

export const Route = createFileRoute("/_auth/account")({
  staticData: { needs: null },
  validateSearch: (search: Record<string, unknown>): AccountSearch => ({
    linked: typeof search.linked === "string" ? search.linked : undefined,
    panel: panels.find((one) => one === search.panel),
  }),
  component: Account,
});

function Account() {
  const go = useGo<AccountSearch>("/account", true);
  return <AccountPage search={Route.useSearch()} go={go} />;
}
