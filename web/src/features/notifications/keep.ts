import { type QueryKey, useQueryClient } from "@tanstack/react-query";

/** Puts an answer where the page reads it. A secret in it is for the eyes only, and stays out of what is kept. */
export function useKeep<T extends { id: string; secret?: string | null }>(
  resource: QueryKey,
): (answer: T) => void {
  const client = useQueryClient();
  return (answer) => {
    const kept = answer.secret ? { ...answer, secret: null } : answer;
    client.setQueryData([...resource, "one", answer.id], kept);
    void client.invalidateQueries({ queryKey: [...resource, "list"] });
  };
}
