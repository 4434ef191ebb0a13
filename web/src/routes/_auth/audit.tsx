import { createFileRoute } from "@tanstack/react-router";
import { AuditPage, type AuditSearch } from "#/features/audit/page";
import { useGo } from "../-go";
import { text } from "../-search";

export const Route = createFileRoute("/_auth/audit")({
  staticData: { needs: "audit:read" },
  validateSearch: (search: Record<string, unknown>): AuditSearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    action: typeof search.action === "string" && search.action !== "" ? search.action : undefined,
    entity: typeof search.entity === "string" && search.entity !== "" ? search.entity : undefined,
    sort: search.sort === "seq" ? "seq" : undefined,
    view: text(search.view),
    run: search.run === "verify" ? "verify" : undefined,
    entry: Number.isSafeInteger(search.entry) ? (search.entry as number) : undefined,
  }),
  component: Audit,
});

function Audit() {
  const go = useGo<AuditSearch>("/audit", true);
  return <AuditPage search={Route.useSearch()} go={go} />;
}
