/** The agreed shapes of channels, until docs/openapi.json has them. */
import type { Delivery, DeliveryState, NoticeKind, NotificationTest } from "./schema";

type Json<R> = { headers: { [name: string]: unknown }; content: { "application/json": R } };
interface Op<R, Status extends number, Query, Path, Body> {
  parameters: { query?: Query; header?: never; path: Path; cookie?: never };
  requestBody: { content: { "application/json": Body } };
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
export type Severity = "info" | "warning" | "critical";
export type ChannelKind =
  | "email"
  | "ntfy"
  | "gotify"
  | "discord"
  | "slack"
  | "teams"
  | "telegram"
  | "matrix"
  | "pushover"
  | "webhook";
export interface ChannelKindDescription {
  kind: ChannelKind;
  title: string;
  takes_pin: boolean;
  public: Record<string, never>;
  secret: Record<string, never>;
}
export interface Channel {
  id: string;
  name: string;
  kind: ChannelKind;
  events: NoticeKind[];
  min_severity: Severity;
  public: { [field: string]: string };
  has_secret: boolean;
  certificate_sha256: string | null;
  enabled: boolean;
  failing_since: string | null;
  disabled_at: string | null;
  disabled_reason: string | null;
  last_delivered_at: string | null;
  version: number;
  created_at: string;
  updated_at: string;
}
export interface ChannelIn {
  name: string;
  kind: ChannelKind;
  public?: { [field: string]: string };
  secret?: { [field: string]: string };
  events?: NoticeKind[];
  min_severity?: Severity;
  certificate_sha256?: string | null;
  enabled?: boolean;
}
type Id = { id: string };
export interface DraftPaths {
  "/api/v1/channel-kinds": Base & { get: OpBare<ChannelKindDescription[], 200, never> };
  "/api/v1/channels": Base & {
    get: OpBare<Paged<Channel>, 200, Listed>;
    post: OpBody<Channel, 201, ChannelIn>;
  };
  "/api/v1/channels/{id}": Base & {
    get: OpId<Channel, 200, never, Id>;
    patch: Op<Channel, 200, never, Id, Partial<Omit<ChannelIn, "kind">>>;
    delete: OpId<never, 204, never, Id>;
  };
  "/api/v1/channels/{id}/test": Base & { post: OpId<NotificationTest, 200, never, Id> };
  "/api/v1/channels/{id}/deliveries": Base & {
    get: OpId<Paged<Delivery>, 200, Listed & { state?: DeliveryState }, Id>;
  };
  "/api/v1/channels/{id}/deliveries/{delivery}/redeliver": Base & {
    post: OpId<Delivery, 202, never, Id & { delivery: string }>;
  };
}
