import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { deleteForGood, mayBeAsked } from "./deletion";

const one = ["hooks", "one", "h1"];
const lists = ["hooks", "list"];

function seen() {
  const client = new QueryClient({ defaultOptions: { queries: { enabled: mayBeAsked, retry: false } } });
  const read = vi.fn(async () => "there");
  client.setQueryData(one, "there");
  const panel = new QueryObserver(client, {
    queryKey: one,
    queryFn: read,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return { client, read, leave: panel.subscribe(() => undefined) };
}

const told = (client: QueryClient) => client.invalidateQueries({ queryKey: ["hooks"] });

it("asks for nothing that is being deleted, and forgets it once it is off the screen", async () => {
  const { client, read, leave } = seen();
  const onDeleted = vi.fn();
  const work = async () => told(client);
  await deleteForGood(client, { id: "h1", one, lists, work, onDeleted });
  await told(client);
  expect(onDeleted).toHaveBeenCalledOnce();
  expect(read).not.toHaveBeenCalled();
  leave();
  expect(client.getQueryData(one)).toBeUndefined();
  expect(mayBeAsked({ queryKey: one })).toBe(true);
});

it("goes on asking when it could not be deleted", async () => {
  const { client, read, leave } = seen();
  const work = async () => {
    await told(client);
    throw new Error("in use");
  };
  const onDeleted = vi.fn();
  await expect(deleteForGood(client, { id: "h1", one, lists, work, onDeleted })).rejects.toThrow("in use");
  expect(onDeleted).not.toHaveBeenCalled();
  expect(read, "what was told meanwhile").toHaveBeenCalledOnce();
  leave();
});
