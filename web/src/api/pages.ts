/** Cursor paging as one endless list. */
import { type InfiniteData, infiniteQueryOptions, type QueryKey } from "@tanstack/react-query";
import type { Page } from "./schema";

export const PAGE_SIZE = 100;

export function pagedQuery<T>(
  queryKey: QueryKey,
  fetchPage: (cursor: string | undefined) => Promise<Page<T>>,
) {
  return infiniteQueryOptions({
    queryKey,
    queryFn: ({ pageParam }) => fetchPage(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    select: (data: InfiniteData<Page<T>, string | undefined>) => ({
      items: data.pages.flatMap((page) => page.items),
      total: data.pages[0]?.total ?? null,
    }),
  });
}

/** Replaces one item in every loaded page; answers whether it was there. */
export function replaceInPages<T extends { id: string }>(
  data: InfiniteData<Page<T>> | undefined,
  item: T,
): { data: InfiniteData<Page<T>> | undefined; found: boolean } {
  let found = false;
  const pages = data?.pages.map((page) => {
    const at = page.items.findIndex((existing) => existing.id === item.id);
    if (at < 0) return page;
    found = true;
    return { ...page, items: page.items.with(at, item) };
  });
  return { data: data && pages ? { ...data, pages } : data, found };
}
