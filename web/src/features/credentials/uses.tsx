import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Time } from "#/ui/time";
import { usesQuery } from "./queries";

/** When it was used, by whom or what, and where. */
export function Uses({ id }: { id: string }) {
  const { t } = useTranslation();
  const uses = useInfiniteQuery(usesQuery(id));
  if (uses.error) return <ErrorBox error={uses.error} retry={() => void uses.refetch()} />;
  if (!uses.data) return <SkeletonLines lines={3} />;
  const { items } = uses.data;
  if (items.length === 0) return <p className="text-muted">{t("credential.neverUsed")}</p>;
  return (
    <div className="flex flex-col gap-2">
      <ul className="divide-y divide-line">
        {items.map((use) => (
          <li key={use.id} className="flex items-start justify-between gap-3 py-1.5">
            <div className="min-w-0">
              <div className="truncate">
                {use.user_name}{" "}
                <span className="text-faint">
                  {t(`credential.purpose.${use.purpose}`, { defaultValue: use.purpose })}
                </span>
              </div>
              <div className="truncate text-muted">
                <span className="mono">
                  {use.host}
                  {use.port ? ` : ${use.port}` : ""}
                </span>{" "}
                · <Time at={use.at} />
              </div>
            </div>
            {use.ok === null ? (
              <Badge>{t("credential.unknown")}</Badge>
            ) : use.ok ? (
              <Badge tone="up">{t("credential.worked")}</Badge>
            ) : (
              <Badge tone="down">{t("credential.failed")}</Badge>
            )}
          </li>
        ))}
      </ul>
      {uses.hasNextPage ? (
        <div>
          <Button busy={uses.isFetchingNextPage} onClick={() => void uses.fetchNextPage()}>
            {t("common.more")}
          </Button>
        </div>
      ) : null}
    </div>
  );
}
