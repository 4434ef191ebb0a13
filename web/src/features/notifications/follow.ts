import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { healthOf, type Remembered } from "./health";

/** The panel hears first how its subscriber fares; the list beside it must not say something else. */
export function useListFollows(key: QueryKey, subscriber: Remembered | undefined): void {
  const client = useQueryClient();
  const health = subscriber && healthOf(subscriber);
  useEffect(() => {
    if (health) void client.invalidateQueries({ queryKey: [...key, "list"] });
  }, [client, key, health]);
}
