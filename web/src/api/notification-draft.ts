/** The agreed shapes of notification, until docs/openapi.json has them. */
type Json<R> = { headers: { [name: string]: unknown }; content: { "application/json": R } };
interface Op<R, Status extends number, Query, Path, Body> {
  parameters: { query?: Query; header?: never; path: Path; cookie?: never };
  requestBody: Body extends undefined ? undefined : { content: { "application/json": Body } };
  responses: { [status in Status]: Json<R> };
}
interface OpBare<R, Status extends number, Query> {
  parameters: { query?: Query; header?: never; path?: never; cookie?: never };
  requestBody?: never;
  responses: { [status in Status]: Json<R> };
}
interface OpId<R, Status extends number, Query, Path> {
  parameters: { query?: Query; header?: never; path: Path; cookie?: never };
  requestBody?: never;
  responses: { [status in Status]: Json<R> };
}
interface OpBody<R, Status extends number, Body> {
  parameters: { query?: never; header?: never; path?: never; cookie?: never };
  requestBody: { content: { "application/json": Body } };
  responses: { [status in Status]: Json<R> };
}
interface Base {
  parameters: { query?: never; header?: never; path?: never; cookie?: never };
}
interface Paged<T> {
  items: T[];
  next_cursor: string | null;
  total: number | null;
}
interface Listed {
  limit?: number;
  cursor?: string;
  sort?: string;
  q?: string;
}

type NoticeKind = string;
interface NoticeKindDescription {
  kind: NoticeKind;
  title: string;
  description: string;
}
export interface Webhook {
  id: string;
  name: string;
  url: string;
  events: NoticeKind[];
  enabled: boolean;
  certificate_sha256: string | null;
  has_previous_secret: boolean;
  previous_secret_until: string | null;
  secret_changed_at: string;
  failing_since: string | null;
  disabled_at: string | null;
  disabled_reason: string | null;
  last_delivered_at: string | null;
  secret: string | null;
  version: number;
  created_at: string;
  updated_at: string;
}
export interface WebhookIn {
  name: string;
  url: string;
  events?: NoticeKind[];
  certificate_sha256?: string | null;
  enabled?: boolean;
}
export interface DeliveryAttempt {
  at: string;
  took_ms: number;
  status: number | null;
  error: string | null;
  excerpt: string | null;
}
export type DeliveryState = "waiting" | "delivered" | "dead" | "dropped";
export interface Delivery {
  id: string;
  notice_id: string;
  kind: NoticeKind;
  title: string;
  state: DeliveryState;
  attempts: DeliveryAttempt[];
  created_at: string;
  next_at: string | null;
  finished_at: string | null;
  payload: Record<string, unknown>;
}
export interface NotificationTest {
  delivered: boolean;
  status: number | null;
  took_ms: number;
  error: string | null;
  excerpt: string | null;
}
type Id = { id: string };
export interface DraftPaths {
  "/api/v1/notice-kinds": Base & { get: OpBare<NoticeKindDescription[], 200, never> };
  "/api/v1/webhooks": Base & {
    get: OpBare<Paged<Webhook>, 200, Listed>;
    post: OpBody<Webhook, 201, WebhookIn>;
  };
  "/api/v1/webhooks/{id}": Base & {
    get: OpId<Webhook, 200, never, Id>;
    patch: Op<Webhook, 200, never, Id, Partial<WebhookIn>>;
    delete: OpId<never, 204, never, Id>;
  };
  "/api/v1/webhooks/{id}/secret": Base & { post: OpId<Webhook, 200, never, Id> };
  "/api/v1/webhooks/{id}/test": Base & { post: OpId<NotificationTest, 200, never, Id> };
  "/api/v1/webhooks/{id}/deliveries": Base & {
    get: OpId<Paged<Delivery>, 200, Listed & { state?: DeliveryState }, Id>;
  };
  "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver": Base & {
    post: OpId<Delivery, 202, never, Id & { delivery: string }>;
  };
}
