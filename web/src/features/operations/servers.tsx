/** The servers that work on the database: two lines for each. */
import type { Operations, ServerState } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Badge } from "#/ui/feedback";
import { Ago, Moment } from "#/ui/time";

export function Servers({ operations }: { operations: Operations }) {
  const { t } = useTranslation();
  return (
    <>
      <ul className="divide-y divide-line border-y border-line">
        {operations.servers.map((server) => (
          <Server key={server.id} server={server} answered={server.id === operations.server} />
        ))}
      </ul>
      {operations.database.storage.state === "away" ? (
        <p className="mt-2 text-muted">{t("operations.othersUnknown")}</p>
      ) : null}
    </>
  );
}

function Server({ server, answered }: { server: ServerState; answered: boolean }) {
  const { t } = useTranslation();
  return (
    <li className="py-2">
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <span className="font-medium break-all">{server.host || t("operations.noHost")}</span>
        <Badge>{t(`operations.role.${server.role}`)}</Badge>
        {server.site === null ? null : <Badge>{t("operations.site", { name: server.site })}</Badge>}
        {answered ? <Badge tone="accent">{t("operations.answered")}</Badge> : null}
        {answered ? null : (
          <span className="ml-auto">
            {t("operations.seen")} <Ago at={server.seen_at} />
          </span>
        )}
      </div>
      <ul className="mt-0.5 flex flex-wrap gap-x-4 text-xs text-muted">
        <li>
          {t("operations.version")} {server.version}
        </li>
        <li>
          {t("operations.started")} <Moment at={server.started_at} />
        </li>
        {server.memory_bytes === null ? null : (
          <li>
            {t("operations.memory")} {megabytes(server.memory_bytes)}
          </li>
        )}
        <li>
          {t("operations.id")} <span className="mono select-all">{server.id}</span>
        </li>
      </ul>
    </li>
  );
}

function megabytes(bytes: number): string {
  const format = new Intl.NumberFormat(undefined, {
    style: "unit",
    unit: "megabyte",
    maximumFractionDigits: 0,
  });
  return format.format(bytes / 1_000_000);
}
