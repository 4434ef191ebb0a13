/** The bar above every page while nothing can be saved. */
import { useQueryClient } from "@tanstack/react-query";
import { HardDrive } from "lucide-react";
import { useEffect } from "react";
import { doubtSession } from "#/api/client";
import { useAwaySince, useLive, useLiveState } from "#/api/hooks";
import { readAgain } from "#/api/outage";
import { storageQuery, useStorageTrouble } from "#/api/storage";
import { useTranslation } from "#/i18n";

const key = storageQuery.queryKey;

export function StorageNotice() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const trouble = useStorageTrouble();
  // The server ends its streams when it cannot ask the database who listens.
  const live = useLiveState("discovery");
  const away = useAwaySince() !== null;
  useEffect(() => {
    if (live !== "waiting" || away) return;
    let here = true;
    // A stream also ends with its session. Then there is nobody to ask for.
    void doubtSession().then((verdict) => {
      if (here && verdict !== "ended") void client.refetchQueries({ queryKey: key });
    });
    return () => {
      here = false;
    };
  }, [live, away, client]);
  useLive("discovery", (message) => {
    if (message.type === "resync") void client.invalidateQueries({ queryKey: key });
    if (message.type !== "storage") return;
    client.setQueryData(key, message.data);
    if (message.data.state === "serving") void readAgain(client);
  });
  const [title, text] =
    trouble?.text == null ? [t("storage.unreadable"), t("storage.unreadableText")] : titled(trouble.text);
  return (
    // Always there, so that a screen reader hears what comes into it.
    <div role="alert">
      {trouble ? (
        <div className="flex shrink-0 items-start gap-3 border-b border-line bg-down-soft px-4 py-2">
          <HardDrive aria-hidden className="mt-0.5 size-4 shrink-0 text-down-text" />
          <p className="min-w-0 flex-1">
            <strong className="font-semibold">{title}</strong> {text}
          </p>
        </div>
      ) : null}
    </div>
  );
}

/** The server's first sentence says what is wrong. A title of our own would say it twice. */
function titled(text: string): [string, string] {
  const end = text.indexOf(". ") + 1;
  return end === 0 ? [text, ""] : [text.slice(0, end), text.slice(end + 1)];
}
