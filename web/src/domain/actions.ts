/**
 * What can be done from anywhere, in one list: the palette shows it. The words are those of the button on its page, so that there is
 * one name for each thing; `page` says where that button is. To add one: a line here, and its words in the palette's imports, and what else
 * people type for it.
 */
import {
  Bell,
  Boxes,
  EthernetPort,
  Fingerprint,
  KeyRound,
  LogIn,
  type LucideIcon,
  MailPlus,
  Radar,
  RectangleEllipsis,
  ShieldCheck,
  UserPlus,
  Webhook,
} from "lucide-react";
import type { Permission } from "#/api/session";
import type { Key } from "#/i18n";
import type { FileRoutesByTo } from "../routeTree.gen";

export interface Opening {
  id: string;
  words: Key;
  page: Key;
  /** Other words that people type for it. */
  also: Key;
  icon: LucideIcon;
  /** Null: everybody may do it. */
  needs: Permission | null;
  to: keyof FileRoutesByTo;
  search: Record<string, string>;
}

/** What opens a form on its page, or begins something there. */
export const openings = [
  {
    id: "scan",
    words: "scans.begin",
    page: "pages.discovery",
    also: "palette.also.scan",
    icon: Radar,
    needs: "discovery:write",
    to: "/discovery",
    search: { scan: "new" },
  },
  {
    id: "asset",
    words: "asset.add",
    page: "pages.inventory",
    also: "palette.also.asset",
    icon: Boxes,
    needs: "inventory:write",
    to: "/inventory",
    search: { panel: "new" },
  },
  {
    id: "network",
    words: "networks.add",
    page: "pages.networks",
    also: "palette.also.network",
    icon: EthernetPort,
    needs: "inventory:write",
    to: "/networks",
    search: { selected: "new" },
  },
  {
    id: "credential",
    words: "credential.add",
    page: "pages.vault",
    also: "palette.also.credential",
    icon: KeyRound,
    needs: "credentials:write",
    to: "/vault",
    search: { panel: "new" },
  },
  {
    id: "webhook",
    words: "webhook.add",
    page: "pages.notifications",
    also: "palette.also.webhook",
    icon: Webhook,
    needs: "notifications:write",
    to: "/notifications",
    search: { panel: "new" },
  },
  {
    id: "channel",
    words: "channel.add",
    page: "pages.notifications",
    also: "palette.also.channel",
    icon: Bell,
    needs: "notifications:write",
    to: "/notifications/channels",
    search: { panel: "new" },
  },
  {
    id: "hook",
    words: "hook.add",
    page: "pages.notifications",
    also: "palette.also.hook",
    icon: Bell,
    needs: "notifications:write",
    to: "/notifications/incoming",
    search: { panel: "new" },
  },
  {
    id: "user",
    words: "users.add",
    page: "pages.users",
    also: "palette.also.user",
    icon: UserPlus,
    needs: "users:write",
    to: "/users",
    search: { panel: "new" },
  },
  {
    id: "invite",
    words: "users.invite",
    page: "pages.users",
    also: "palette.also.invite",
    icon: MailPlus,
    needs: "users:write",
    to: "/users",
    search: { panel: "invite" },
  },
  {
    id: "provider",
    words: "provider.add",
    page: "pages.settings",
    also: "palette.also.provider",
    icon: LogIn,
    needs: "users:write",
    to: "/settings/providers",
    search: { panel: "new" },
  },
  {
    id: "verify",
    words: "audit.verify",
    page: "pages.audit",
    also: "palette.also.verify",
    icon: ShieldCheck,
    needs: "audit:read",
    to: "/audit",
    search: { run: "verify" },
  },
  {
    id: "password",
    words: "account.changePassword",
    page: "pages.account",
    also: "palette.also.password",
    icon: RectangleEllipsis,
    needs: null,
    to: "/account",
    search: { panel: "password" },
  },
  {
    id: "twoFactor",
    words: "account.twoFactor",
    page: "pages.account",
    also: "palette.also.twoFactor",
    icon: ShieldCheck,
    needs: null,
    to: "/account",
    search: { panel: "twoFactor" },
  },
  {
    id: "passkey",
    words: "account.passkeyAdd",
    page: "pages.account",
    also: "palette.also.passkey",
    icon: Fingerprint,
    needs: null,
    to: "/account",
    search: { panel: "passkey" },
  },
  {
    id: "token",
    words: "token.add",
    page: "pages.account",
    also: "palette.also.token",
    icon: KeyRound,
    needs: null,
    to: "/account",
    search: { panel: "token" },
  },
] as const satisfies readonly Opening[];
