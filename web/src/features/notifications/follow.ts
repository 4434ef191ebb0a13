import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

/** The panel hears first how something fares; the list beside it must not say something else. */
export function useListFollows(resource: QueryKey, state: string | undefined): void {
  const client = useQueryClient();
  useEffect(() => {
    if (state) void client.invalidateQueries({ queryKey: [...resource, "list"] });
  }, [client, resource, state]);
}
