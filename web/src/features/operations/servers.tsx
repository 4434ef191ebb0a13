/** The servers that work on the database. */
import type { Operations, ServerState } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Fact, Facts } from "#/ui/facts";
import { Badge } from "#/ui/feedback";
import { Moment, Time } from "#/ui/time";

export function Servers({ operations }: { operations: Operations }) {
  return (
    <ul className="divide-y divide-line">
      {operations.servers.map((server) => (
        <Server key={server.id} server={server} answered={server.id === operations.server} />
      ))}
    </ul>
  );
}

function Server({ server, answered }: { server: ServerState; answered: boolean }) {
  const { t } = useTranslation();
  return (
    <li className="py-2 first:pt-0">
      <p className="mb-1.5 flex flex-wrap items-center gap-2">
        <span className="font-medium break-all">{server.host || t("operations.noHost")}</span>
        {answered ? <Badge tone="accent">{t("operations.answered")}</Badge> : null}
      </p>
      <Facts>
        <Fact name={t("operations.does")}>{t(`operations.role.${server.role}`)}</Fact>
        {server.site === null ? null : <Fact name={t("operations.site")}>{server.site}</Fact>}
        <Fact name={t("operations.version")}>{server.version}</Fact>
        <Fact name={t("operations.started")}>
          <Moment at={server.started_at} />
        </Fact>
        {answered ? null : (
          <Fact name={t("operations.seen")}>
            <Time at={server.seen_at} />
          </Fact>
        )}
        {server.memory_bytes === null ? null : (
          <Fact name={t("operations.memory")}>{megabytes(server.memory_bytes)}</Fact>
        )}
        <Fact name={t("operations.id")}>
          <span className="mono select-all text-xs">{server.id}</span>
        </Fact>
      </Facts>
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
