import { createFileRoute, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { AccountPage, type AccountSearch } from "#/features/account/page";

export const Route = createFileRoute("/_auth/account")({
  validateSearch: (search: Record<string, unknown>): AccountSearch => ({
    linked: typeof search.linked === "string" ? search.linked : undefined,
  }),
  component: Account,
});

function Account() {
  const navigate = useNavigate();
  const go = useCallback(
    (next: AccountSearch) => void navigate({ to: "/account", search: next, replace: true }),
    [navigate],
  );
  return <AccountPage search={Route.useSearch()} go={go} />;
}
