/** The bar above every page while nothing can be saved. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { HardDrive } from "lucide-react";
import { useEffect } from "react";
import { doubtSession, http, take } from "#/api/client";
import { useAwaySince, useLive, useLiveState } from "#/api/hooks";
import { isOutage, readAgain } from "#/api/outage";
import type { Storage } from "#/api/schema";
import { useTranslation } from "#/i18n";

const key = ["storage"] as const;

type Bar = { state: Storage["state"] | "unreadable"; trouble: string | null };

/**
 * The title and the text, always of one source. A refused read is no second one: it says what one request ran into, such as a busy
 * database, while the server has already found that the database is away.
 */
function barOf(told: Storage | undefined, refused: boolean): Bar | null {
  if (told?.trouble) return { state: told.state, trouble: told.trouble };
  return refused ? { state: "unreadable", trouble: null } : null;
}

export function StorageNotice() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { data, error, refetch } = useQuery({
    queryKey: key,
    queryFn: () => take(http.GET("/api/v1/storage")),
  });
  // The server ends its streams when it cannot ask the database who listens.
  const live = useLiveState("discovery");
  const away = useAwaySince() !== null;
  useEffect(() => {
    if (live !== "waiting" || away) return;
    let here = true;
    // A stream also ends with its session. Then there is nobody to ask for.
    void doubtSession().then((verdict) => {
      if (here && verdict !== "ended") void refetch();
    });
    return () => {
      here = false;
    };
  }, [live, away, refetch]);
  useLive("discovery", (message) => {
    if (message.type === "resync") void client.invalidateQueries({ queryKey: key });
    if (message.type !== "storage") return;
    client.setQueryData(key, message.data);
    if (message.data.state === "serving") void readAgain(client);
  });
  const bar = away ? null : barOf(data, isOutage(error));
  return (
    // Always there, so that a screen reader hears what comes into it.
    <div role="alert">
      {bar ? (
        <div className="flex shrink-0 items-start gap-3 border-b border-line bg-down-soft px-4 py-2">
          <HardDrive aria-hidden className="mt-0.5 size-4 shrink-0 text-down-text" />
          <p className="min-w-0 flex-1">
            <strong className="font-semibold">{t(`storage.${bar.state}`)}</strong>{" "}
            {bar.trouble ?? t("storage.unreadableText")}
          </p>
        </div>
      ) : null}
    </div>
  );
}
