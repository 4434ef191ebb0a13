/** All words of one frame, by how near one looks: names under nodes, titles beside groups, cards for groups that are far. */

import { counted } from "#/i18n";
import { type Size, toScreen } from "./camera";
import {
  type Card,
  type CardBox,
  type CardSpot,
  cardSize,
  cardWords,
  GROUP_TITLE,
  placeCards,
  titleMiddle,
  titleWords,
} from "./cards";
import type { View } from "./gl";
import type { Group } from "./group";
import { FAR_RADIUS, hoverWords, labelLines, lineFont, lineHeight, lineWords, nameLines } from "./labels";
import type { Place } from "./layout";
import type { MapPalette } from "./palette";
import { DIM, type Outline, RADIUS, type Scene, type Standing } from "./scene";
import type { WordsProgram } from "./words-program";

/** What the page says about groups and nodes. */
export interface GroupWords {
  /** With the network's range, or short, for where there is little room. */
  title(group: Group, short: boolean): string;
  /** How many nodes, and which. */
  lines(group: Group): string[];
  /** Of the node that is this server. */
  thisServer(): string;
}

/** A card and its outline: a click on it opens that. */
export interface SpokenCard extends CardSpot {
  outline: Outline;
}

/** Widths of names, in steps of so many pixels. */
const NAME_STEP = 4;

/** Pixels between two names that follow each other. */
const NAMES_APART = 4;

/** Screens that are narrower get cards of one line. */
const NARROW = 600;

export class Speech {
  private readonly widths = new Map<string, number>();
  private readonly names = new Map<string, readonly string[]>();
  private readonly ruler = document.createElement("canvas").getContext("2d");
  private spoken: SpokenCard[] = [];

  constructor(private readonly words: GroupWords) {}

  /** The fonts have changed. */
  forget(): void {
    this.widths.clear();
    this.names.clear();
  }

  readonly measure = (text: string, font: string): number => {
    const key = `${font}|${text}`;
    let width = this.widths.get(key);
    if (width === undefined) {
      if (this.ruler) this.ruler.font = font;
      width = this.ruler?.measureText(text).width ?? 0;
      if (this.widths.size > 20_000) this.widths.clear();
      this.widths.set(key, width);
    }
    return width;
  };

  /** While one zooms the width is rounded, so that each frame need not measure each name. */
  private nameIn(name: string, width: number, most: number, free: () => number): readonly string[] {
    const font = lineFont(false);
    const whole = this.measure(name, font);
    if (whole <= width) return [name];
    const [room, more] = [width, free()].map((pixels) => Math.floor(pixels / NAME_STEP) * NAME_STEP);
    const key = `${room}|${more}|${most}|${name}`;
    let lines = this.names.get(key);
    if (!lines) {
      lines = nameLines(name, room ?? width, most, (text) => this.measure(text, font), more);
      if (this.names.size > 20_000) this.names.clear();
      this.names.set(key, lines);
    }
    return lines;
  }

  cardAt({ x, y }: Place): SpokenCard | undefined {
    return this.spoken.findLast(
      (card) => x >= card.x && x <= card.x + card.width && y >= card.y && y <= card.y + card.height,
    );
  }

  say(
    view: View,
    sheet: WordsProgram,
    colors: MapPalette,
    scene: Scene,
    lit: ReadonlySet<string> | null,
    hovered: string | null,
    groups: boolean,
  ): void {
    sheet.begin(view.ratio);
    this.spoken = [];
    const far = RADIUS * view.camera.scale < FAR_RADIUS;
    if (!far) this.sayNames(view, sheet, colors, scene, lit);
    if (groups && far) this.sayCards(view, sheet, colors, scene.outlines);
    else if (groups)
      for (const { group, left, right, top } of scene.outlines) {
        if (!group.id) continue;
        const title = this.words.title(group, false);
        const spot = toScreen(view.camera, view.size, { x: (left + right) / 2, y: top });
        if (!onScreen(spot, view.size, 300)) continue;
        const [from, to] = [left, right].map((x) => toScreen(view.camera, view.size, { x, y: top }).x);
        const seen = (to ?? 0) > 0 && (from ?? 0) < view.size.width;
        const wide = this.measure(title, GROUP_TITLE);
        const x = seen ? titleMiddle(spot.x, wide, view.size.width) : spot.x;
        sheet.say(`t|${title}`, x, spot.y - 5, 1, () => titleWords(title, this.measure, colors));
      }
    const under = hovered ? scene.nodes.get(hovered) : undefined;
    if (under) {
      const { node } = under;
      const address = node.addresses[0] && node.addresses[0] !== node.name ? node.addresses[0] : "";
      const spot = toScreen(view.camera, view.size, under);
      const radius = Math.max(3, under.radius * view.camera.scale);
      sheet.say(`h|${node.name}|${address}`, spot.x, spot.y + radius * 1.22 + 2, 1, () =>
        hoverWords(node.name, address, this.measure, colors),
      );
    }
  }

  private sayNames(
    { camera, size }: View,
    sheet: WordsProgram,
    colors: MapPalette,
    scene: Scene,
    lit: ReadonlySet<string> | null,
  ): void {
    const plain = RADIUS * camera.scale;
    const { scale } = camera;
    for (const { id, x, y, radius, node, group } of scene.nodes.values()) {
      const spot = toScreen(camera, size, { x, y });
      const top = spot.y + radius * camera.scale * 1.22 + 3;
      if (spot.x < -160 || spot.x > size.width + 160 || top < -120 || top > size.height) continue;
      const alpha = (lit && !lit.has(id)) || scene.isDim(id) ? DIM : 1;
      const back = group ? colors.group : colors.canvas;
      let line = top;
      for (const { text, mono, mark } of labelLines(
        node,
        plain,
        (width, most) =>
          this.nameIn(node.name, width, most, () => {
            // A neighbor's name takes no more than its usual room here, so that two long ones do not meet.
            const taken = (other: Standing) =>
              Math.min(width, this.measure(other.node.name, lineFont(false))) / 2 / scale;
            return 2 * (scene.reach(id, taken) * scale - NAMES_APART);
          }),
        node.server ? this.words.thisServer() : "",
        scene.isLowest(id),
      )) {
        sheet.say(`${mono ? "a" : "n"}|${mark ? 1 : 0}|${back}|${text}`, spot.x, line, alpha, () =>
          lineWords(text, mono, mark ? colors.accent : null, back, this.measure, colors),
        );
        line += lineHeight(mono);
      }
    }
  }

  private sayCards(
    { camera, size }: View,
    sheet: WordsProgram,
    colors: MapPalette,
    outlines: readonly Outline[],
  ): void {
    const cards = outlines.map(({ group }): Card[] => {
      const title = this.words.title(group, true);
      const lines = this.words.lines(group);
      const short = {
        title: `${title} · ${counted(group.members.length)}`,
        lines: [],
        worst: group.worst,
      };
      return size.width < NARROW ? [short] : [{ title, lines, worst: group.worst }, short];
    });
    const wishes = outlines.map(({ group, left, right, bottom, top }, at) => {
      const corner = toScreen(camera, size, { x: left, y: top });
      const other = toScreen(camera, size, { x: right, y: bottom });
      return {
        left: corner.x,
        top: corner.y,
        right: other.x,
        bottom: other.y,
        weight: group.members.length,
        sizes: (cards[at] ?? []).map((card) => cardSize(card, this.measure)),
      };
    });
    for (const spot of placeCards(wishes, size, cornersOf(size))) {
      const card = cards[spot.wish]?.[spot.size];
      const outline = outlines[spot.wish];
      if (!card || !outline) continue;
      this.spoken.push({ ...spot, outline });
      sheet.say(`c|${card.title}|${card.lines.join("|")}|${card.worst}`, spot.x, spot.y, 1, () =>
        cardWords(card, this.measure, colors),
      );
    }
  }
}

/** The legend and the buttons lie on the map: see `canvas.tsx`. */
function cornersOf({ width, height }: Size): CardBox[] {
  return [
    { x: 0, y: height - 56, width: 120, height: 56 },
    { x: width - 60, y: height - 210, width: 60, height: 210 },
  ];
}

function onScreen({ x, y }: Place, { width, height }: Size, beyond: number): boolean {
  return x > -beyond && x < width + beyond && y > -beyond && y < height + beyond;
}
