import { createFileRoute } from "@tanstack/react-router";
import { AuditPage, type AuditSearch } from "#/features/audit/page";
import { useGo } from "../-go";
import { id, oneOf, text } from "../-search";

export const Route = createFileRoute("/_auth/audit")({
  staticData: { needs: "audit:read" },
  validateSearch: (search: Record<string, unknown>): AuditSearch => ({
    q: text(search.q),
    action: text(search.action),
    entity: id(search.entity),
    sort: oneOf(search.sort, ["seq"]),
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
