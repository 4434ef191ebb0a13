/** The database, Redis and NATS, as the server sees them that answered. */
import type { DatabaseState, Fabric, FabricLink } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Fact, Facts } from "#/ui/facts";
import { Badge } from "#/ui/feedback";
import { Since } from "#/ui/time";

interface ConnectionsProps {
  database: DatabaseState;
  fabric: Fabric;
  /** Something is wrong with the database, also where `database` does not say so yet. */
  trouble: boolean;
}

export function Connections({ database, fabric, trouble }: ConnectionsProps) {
  const { t } = useTranslation();
  return (
    <Facts>
      <Fact name={t("operations.database")}>
        <span className="flex flex-wrap items-center gap-2">
          {t(`operations.kind.${database.kind}`)}
          {database.storage.state === "serving" && !trouble ? (
            <Badge tone="up">{t("operations.storageFine")}</Badge>
          ) : (
            <Badge tone="down">{t("operations.storageTrouble")}</Badge>
          )}
        </span>
      </Fact>
      <Fact name={t("operations.redis")}>
        <State link={fabric.redis} />
      </Fact>
      <Fact name={t("operations.nats")}>
        <State link={fabric.nats} />
      </Fact>
    </Facts>
  );
}

function State({ link }: { link: FabricLink | null }) {
  const { t } = useTranslation();
  if (!link) return <span className="text-muted">{t("operations.unused")}</span>;
  return (
    <span className="flex flex-wrap items-center gap-2">
      <Badge tone={link.up ? "up" : "down"}>{t(link.up ? "operations.up" : "operations.down")}</Badge>
      <span className="text-muted">
        {t("operations.since")} <Since at={link.since} />
      </span>
    </span>
  );
}
