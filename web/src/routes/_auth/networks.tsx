import { createFileRoute, useNavigate } from "@tanstack/react-router";
import { NetworksPage, type NetworksSearch } from "#/features/networks/page";

export const Route = createFileRoute("/_auth/networks")({
  validateSearch: (search: Record<string, unknown>): NetworksSearch => ({
    selected: typeof search.selected === "string" ? search.selected : undefined,
  }),
  component: Networks,
});

function Networks() {
  const navigate = useNavigate();
  return (
    <NetworksPage
      search={Route.useSearch()}
      go={(next) => void navigate({ to: "/networks", search: next })}
    />
  );
}
