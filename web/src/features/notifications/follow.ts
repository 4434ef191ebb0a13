import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useLive, useThrottled } from "#/api/hooks";

/** What comes within this time is one read: a busy receiver changes many times a second. */
const TOGETHER_MS = 500;

/** Reads what is shown of a resource again when the server says that it has changed. */
export function useFollow(resource: QueryKey, told: "subscriber" | "hook"): void {
  const client = useQueryClient();
  const refresh = useThrottled(() => void client.invalidateQueries({ queryKey: resource }), TOGETHER_MS);
  useLive("notifications", (message) => {
    if (message.type === "resync" || message.type === told) refresh();
  });
}
