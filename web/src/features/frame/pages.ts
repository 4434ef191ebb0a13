/** The pages of the rail, in its order, and what each asks of whoever sees it. */
import {
  Bell,
  Boxes,
  EthernetPort,
  KeyRound,
  Map as MapIcon,
  Radar,
  ScrollText,
  Settings,
  Users,
} from "lucide-react";
import type { Permission } from "#/api/session";

export const pages = [
  { to: "/map", key: "map", icon: MapIcon, needs: "inventory:read" },
  { to: "/inventory", key: "inventory", icon: Boxes, needs: "inventory:read" },
  { to: "/networks", key: "networks", icon: EthernetPort, needs: "inventory:read" },
  { to: "/discovery", key: "discovery", icon: Radar, needs: "discovery:read" },
  { to: "/notifications", key: "notifications", icon: Bell, needs: "notifications:read" },
  { to: "/vault", key: "vault", icon: KeyRound, needs: "credentials:read" },
  { to: "/audit", key: "audit", icon: ScrollText, needs: "audit:read" },
  { to: "/users", key: "users", icon: Users, needs: "users:read" },
  { to: "/settings", key: "settings", icon: Settings, needs: "settings:read" },
] as const satisfies { to: string; key: string; icon: unknown; needs: Permission }[];

export type Page = (typeof pages)[number];
