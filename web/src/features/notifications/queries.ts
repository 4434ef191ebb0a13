import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";
import type { Delivery, DeliveryState } from "#/api/schema";

/** How often what machines change is looked at, while somebody looks. No stream tells of a delivery. */
export const SOON_MS = 2_000;
export const LATER_MS = 10_000;
/** The newest say how it goes; the rest comes when it is asked for. */
const FIRST_DELIVERIES = 5;
const MORE_DELIVERIES = 20;

export const webhooksKey = ["webhooks"] as const;

export const noticeKindsQuery = queryOptions({
  queryKey: ["notice-kinds"],
  queryFn: () => take(http.GET("/api/v1/notice-kinds")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const webhooksQuery = (q: string, sort: string) =>
  pagedQuery([...webhooksKey, "list", q, sort], (cursor) =>
    take(
      http.GET("/api/v1/webhooks", {
        params: { query: { limit: PAGE_SIZE, cursor, sort, ...(q ? { q } : {}) } },
      }),
    ),
  );

export const webhookQuery = (id: string) =>
  queryOptions({
    queryKey: [...webhooksKey, "one", id],
    queryFn: () => take(http.GET("/api/v1/webhooks/{id}", { params: { path: { id } } })),
  });

/** Whose deliveries they are. */
export interface Subscriber {
  resource: "webhooks";
  id: string;
}

export const deliveriesKey = ({ resource, id }: Subscriber) => [resource, "one", id, "deliveries"] as const;

export const deliveriesQuery = (subscriber: Subscriber, state: DeliveryState | undefined) =>
  pagedQuery([...deliveriesKey(subscriber), state ?? "all"], (cursor) =>
    take(
      http.GET("/api/v1/webhooks/{id}/deliveries", {
        params: {
          path: { id: subscriber.id },
          query: {
            limit: cursor ? MORE_DELIVERIES : FIRST_DELIVERIES,
            cursor,
            ...(state ? { state } : {}),
          },
        },
      }),
    ),
  );

export function redeliver({ id }: Subscriber, delivery: string): Promise<Delivery> {
  return take(
    http.POST("/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", {
      params: { path: { id, delivery } },
    }),
  );
}
