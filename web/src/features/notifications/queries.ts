import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";
import type { Delivery, DeliveryState } from "#/api/schema";

/** The newest say how it goes; the rest comes when it is asked for. */
const FIRST = 5;
const MORE = 20;

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

export const channelsKey = ["channels"] as const;

export const channelKindsQuery = queryOptions({
  queryKey: ["channel-kinds"],
  queryFn: () => take(http.GET("/api/v1/channel-kinds")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const channelsQuery = (q: string, sort: string) =>
  pagedQuery([...channelsKey, "list", q, sort], (cursor) =>
    take(
      http.GET("/api/v1/channels", {
        params: { query: { limit: PAGE_SIZE, cursor, sort, ...(q ? { q } : {}) } },
      }),
    ),
  );

export const channelQuery = (id: string) =>
  queryOptions({
    queryKey: [...channelsKey, "one", id],
    queryFn: () => take(http.GET("/api/v1/channels/{id}", { params: { path: { id } } })),
  });

export const hooksKey = ["hooks"] as const;

export const hooksQuery = (q: string, sort: string) =>
  pagedQuery([...hooksKey, "list", q, sort], (cursor) =>
    take(
      http.GET("/api/v1/hooks", {
        params: { query: { limit: PAGE_SIZE, cursor, sort, ...(q ? { q } : {}) } },
      }),
    ),
  );

export const hookQuery = (id: string) =>
  queryOptions({
    queryKey: [...hooksKey, "one", id],
    queryFn: () => take(http.GET("/api/v1/hooks/{id}", { params: { path: { id } } })),
  });

export const hookEventsQuery = (id: string) =>
  pagedQuery([...hooksKey, "one", id, "events"], (cursor) => {
    const limit = cursor ? MORE : FIRST;
    return take(
      http.GET("/api/v1/hooks/{id}/events", { params: { path: { id }, query: { limit, cursor } } }),
    );
  });

/** Whose deliveries they are. */
export interface Subscriber {
  resource: "webhooks" | "channels";
  id: string;
}

export const deliveriesKey = ({ resource, id }: Subscriber) => [resource, "one", id, "deliveries"] as const;

export const deliveriesQuery = (subscriber: Subscriber, state: DeliveryState | undefined) =>
  pagedQuery([...deliveriesKey(subscriber), state ?? "all"], (cursor) => {
    const limit = cursor ? MORE : FIRST;
    const params = {
      path: { id: subscriber.id },
      query: { limit, cursor, ...(state ? { state } : {}) },
    };
    return take(
      subscriber.resource === "webhooks"
        ? http.GET("/api/v1/webhooks/{id}/deliveries", { params })
        : http.GET("/api/v1/channels/{id}/deliveries", { params }),
    );
  });

export function redeliver({ resource, id }: Subscriber, delivery: string): Promise<Delivery> {
  const params = { path: { id, delivery } };
  return take(
    resource === "webhooks"
      ? http.POST("/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", { params })
      : http.POST("/api/v1/channels/{id}/deliveries/{delivery}/redeliver", { params }),
  );
}
