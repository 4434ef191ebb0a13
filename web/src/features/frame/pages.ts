/** The pages of the rail, in its order. */
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
