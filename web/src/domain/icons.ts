/**
 * What an asset looks like: one icon for each role, else for each kind. The same drawings serve the tables (React) and
 * the map (drawn once into a texture). To add a role: one line in `roles`.
 */
import * as appWindow from "lucide-react/icons/app-window";
import * as battery from "lucide-react/icons/battery-charging";
import * as box from "lucide-react/icons/box";
import * as boxes from "lucide-react/icons/boxes";
import * as cctv from "lucide-react/icons/cctv";
import * as question from "lucide-react/icons/circle-question-mark";
import * as circuit from "lucide-react/icons/circuit-board";
import * as cloud from "lucide-react/icons/cloud";
import * as container from "lucide-react/icons/container";
import * as cpu from "lucide-react/icons/cpu";
import * as database from "lucide-react/icons/database";
import * as gamepad from "lucide-react/icons/gamepad-2";
import * as hardDrive from "lucide-react/icons/hard-drive";
import * as laptop from "lucide-react/icons/laptop";
import * as lightbulb from "lucide-react/icons/lightbulb";
import * as monitor from "lucide-react/icons/monitor";
import * as monitorSmartphone from "lucide-react/icons/monitor-smartphone";
import * as network from "lucide-react/icons/network";
import * as plug from "lucide-react/icons/plug-zap";
import * as printer from "lucide-react/icons/printer";
import * as router from "lucide-react/icons/router";
import * as server from "lucide-react/icons/server";
import * as shield from "lucide-react/icons/shield";
import * as smartphone from "lucide-react/icons/smartphone";
import * as speaker from "lucide-react/icons/speaker";
import * as tablet from "lucide-react/icons/tablet";
import * as tv from "lucide-react/icons/tv";
import * as wifi from "lucide-react/icons/wifi";
import type { ComponentType, SVGProps } from "react";
import type { AssetKind } from "#/api/schema";

type Shape = [tag: string, attributes: Record<string, string>];
interface Drawing {
  /** Place in the map's texture. */
  index: number;
  Icon: ComponentType<SVGProps<SVGSVGElement>>;
  shapes: Shape[];
}

// The icon modules export their shapes beside the component, but do not say so in their types.
interface IconModule {
  default: ComponentType<SVGProps<SVGSVGElement>>;
}
const drawings: Drawing[] = [];
function drawing(icon: IconModule): Drawing {
  const raw = icon as IconModule & { __iconData?: { node: Shape[] } };
  const made = { index: drawings.length, Icon: icon.default, shapes: raw.__iconData?.node ?? [] };
  drawings.push(made);
  return made;
}

const kinds: Record<AssetKind, Drawing> = {
  device: drawing(monitorSmartphone),
  compute: drawing(server),
  service: drawing(appWindow),
  storage: drawing(database),
  cluster: drawing(boxes),
  external: drawing(cloud),
  other: drawing(question),
};

/** By the words that discovery proposes (`ROLES` in crates/cb-collect/src/engine/guess.rs; a test compares), and some more. */
const roles: Record<string, Drawing> = {
  router: drawing(router),
  gateway: drawing(router),
  firewall: drawing(shield),
  switch: drawing(network),
  "access-point": drawing(wifi),
  server: drawing(server),
  hypervisor: drawing(server),
  vm: drawing(box),
  container: drawing(container),
  workstation: drawing(monitor),
  laptop: drawing(laptop),
  printer: drawing(printer),
  nas: drawing(hardDrive),
  camera: drawing(cctv),
  phone: drawing(smartphone),
  tablet: drawing(tablet),
  tv: drawing(tv),
  speaker: drawing(speaker),
  "game-console": drawing(gamepad),
  iot: drawing(cpu),
  light: drawing(lightbulb),
  ups: drawing(battery),
  plug: drawing(plug),
  plc: drawing(circuit),
};

export const knownRoles = Object.keys(roles).sort();
export const allDrawings: readonly Drawing[] = drawings;

const spellings = new Map<string, string>();
const SPELLINGS_MOST = 1_000;

/** Roles are free words, typed by people too: "Access point", "access_point" and "access-point" are the same. */
export function roleWord(role: string): string {
  // The map asks for thousands of nodes, which have a few roles among them.
  let word = spellings.get(role);
  if (word === undefined) {
    word = role
      .trim()
      .toLowerCase()
      .replace(/[\s_-]+/g, "-");
    if (spellings.size >= SPELLINGS_MOST) spellings.clear();
    spellings.set(role, word);
  }
  return word;
}

export function drawingOf(kind: AssetKind, role: string | null | undefined): Drawing {
  return (role && roles[roleWord(role)]) || kinds[kind] || kinds.other;
}

const hubRoles = new Set(["router", "gateway", "firewall", "switch", "access-point"]);
/** What others are connected to. */
export function isHub(role: string | null | undefined): boolean {
  return !!role && hubRoles.has(roleWord(role));
}

const gatewayRoles = new Set(["router", "gateway", "firewall"]);
/** What leads out of its network. */
export function isGateway(role: string | null | undefined): boolean {
  return !!role && gatewayRoles.has(roleWord(role));
}
