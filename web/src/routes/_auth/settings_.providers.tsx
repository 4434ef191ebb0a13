import { createFileRoute, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { ProvidersPage, type ProvidersSearch } from "#/features/providers/page";

export const Route = createFileRoute("/_auth/settings_/providers")({
  validateSearch: (search: Record<string, unknown>): ProvidersSearch => ({
    selected: typeof search.selected === "string" ? search.selected : undefined,
    panel: search.panel === "new" ? "new" : undefined,
  }),
  component: Providers,
});

function Providers() {
  const navigate = useNavigate();
  const go = useCallback(
    (next: ProvidersSearch) => void navigate({ to: "/settings/providers", search: next }),
    [navigate],
  );
  return <ProvidersPage search={Route.useSearch()} go={go} />;
}
