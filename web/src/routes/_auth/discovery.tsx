import { createFileRoute, useNavigate } from "@tanstack/react-router";
import { DiscoveryPage, type DiscoverySearch } from "#/features/discovery/page";

export const Route = createFileRoute("/_auth/discovery")({
  validateSearch: (search: Record<string, unknown>): DiscoverySearch => ({
    state:
      search.state === "open" || search.state === "accepted" || search.state === "ignored"
        ? search.state
        : undefined,
    tab: search.tab === "scans" ? "scans" : undefined,
    finding: typeof search.finding === "string" ? search.finding : undefined,
    scan: search.scan === "new" ? "new" : undefined,
  }),
  component: Discovery,
});

function Discovery() {
  const navigate = useNavigate();
  return (
    <DiscoveryPage
      search={Route.useSearch()}
      go={(next) => void navigate({ to: "/discovery", search: next })}
    />
  );
}
