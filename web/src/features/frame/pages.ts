/** The pages: those of the rail, in its order, and those that a page of the rail leads to. */
import {
  Activity,
  Bell,
  Boxes,
  EthernetPort,
  KeyRound,
  LogIn,
  Map as MapIcon,
  Radar,
  RotateCcwKey,
  ScrollText,
  Send,
  Settings,
  Users,
  Webhook,
} from "lucide-react";

export const pages = [
  { to: "/map", key: "map", icon: MapIcon },
  { to: "/inventory", key: "inventory", icon: Boxes },
  { to: "/networks", key: "networks", icon: EthernetPort },
  { to: "/discovery", key: "discovery", icon: Radar },
  { to: "/notifications", key: "notifications", icon: Bell },
  { to: "/vault", key: "vault", icon: KeyRound },
  { to: "/audit", key: "audit", icon: ScrollText },
  { to: "/users", key: "users", icon: Users },
  { to: "/settings", key: "settings", icon: Settings },
] as const;

export type Page = (typeof pages)[number];

/** What is reached through a page of the rail, and from the palette. A test compares them with the routes. */
export const subpages = [
  { to: "/notifications/channels", key: "channels", of: "notifications", icon: Send },
  { to: "/notifications/incoming", key: "incoming", of: "notifications", icon: Webhook },
  { to: "/vault/keys", key: "vaultKeys", of: "vault", icon: RotateCcwKey },
  { to: "/settings/operations", key: "operations", of: "settings", icon: Activity },
  { to: "/settings/providers", key: "providers", of: "settings", icon: LogIn },
] as const;
