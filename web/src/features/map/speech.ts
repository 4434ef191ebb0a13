/** All words of one frame, drawn: what `wording.ts` says, and the whole name of what is under the pointer. */

import { toScreen } from "./camera";
import { cardWords, titleWords } from "./cards";
import type { View } from "./gl";
import type { Group } from "./group";
import { hoverWords, lineFont, lineWords, nameLines, plateWords } from "./labels";
import type { Place } from "./layout";
import { DIM, type MapPalette } from "./palette";
import type { Focus, Scene } from "./scene";
import { type GroupWords, type SaidCard, SMALLEST_PX, type Type, wordingOf } from "./wording";
import type { WordsProgram } from "./words-program";

/** Widths of names, in steps of so many pixels. */
const NAME_STEP = 4;

export class Speech implements Type {
  private readonly widths = new Map<string, number>();
  private readonly names = new Map<string, readonly string[]>();
  private readonly ruler = document.createElement("canvas").getContext("2d");
  private spoken: SaidCard[] = [];
  /** The group that one looks at, when nothing on the map says which it is. */
  where: Group | null = null;

  private readonly said = new WeakMap<Group, string[]>();
  private readonly words: GroupWords;

  constructor(words: GroupWords) {
    // Each frame asks, and the answer counts all nodes of a group.
    const lines = (group: Group) => {
      const known = this.said.get(group) ?? words.lines(group);
      this.said.set(group, known);
      return known;
    };
    this.words = { ...words, lines };
  }

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
  nameIn(name: string, width: number, most: number, free: () => number): readonly string[] {
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

  cardAt({ x, y }: Place): SaidCard | undefined {
    return this.spoken.findLast(
      (card) => x >= card.x && x <= card.x + card.width && y >= card.y && y <= card.y + card.height,
    );
  }

  say(
    view: View,
    sheet: WordsProgram,
    colors: MapPalette,
    scene: Scene,
    focus: Focus,
    lit: ReadonlySet<string> | null,
    groups: boolean,
  ): void {
    sheet.begin(view.ratio);
    const { measure } = this;
    const { lines, titles, cards, where } = wordingOf(view, scene, focus, groups, this.words, this);
    this.spoken = cards;
    this.where = where;
    // Never dimmed: a link that is lit would be seen through it.
    for (const { plate, mono, x, y, of, box } of lines) {
      if (!plate) continue;
      const back = groups && of.group ? colors.group : colors.canvas;
      const wide = Math.ceil(box.width);
      sheet.say(`p|${mono ? "a" : "n"}|${back}|${wide}`, x, y, 1, () => plateWords(wide, mono, back));
    }
    for (const { text, mono, mark, x, y, of } of lines) {
      const alpha = scene.isDim(of.id, focus, lit) ? (mono || mark ? DIM.small : DIM.name) : 1;
      sheet.say(`${mono ? "a" : "n"}|${mark ? 1 : 0}|${text}`, x, y, alpha, () =>
        lineWords(text, mono, mark ? colors.markText : null, measure, colors),
      );
    }
    for (const { text, x, y } of titles)
      sheet.say(`t|${text}`, x, y, 1, () => titleWords(text, measure, colors));
    for (const { card, x, y } of cards)
      sheet.say(`c|${card.title}|${card.lines.join("|")}|${card.worst}`, x, y, 1, () =>
        cardWords(card, measure, colors),
      );
    const under = focus.hovered ? scene.nodes.get(focus.hovered) : undefined;
    if (!under) return;
    const { node } = under;
    const address = node.addresses[0] && node.addresses[0] !== node.name ? node.addresses[0] : "";
    const spot = toScreen(view.camera, view.size, under);
    const radius = Math.max(SMALLEST_PX, under.radius * view.camera.scale);
    sheet.say(`h|${node.name}|${address}`, spot.x, spot.y + radius * 1.22 + 2, 1, () =>
      hoverWords(node.name, address, measure, colors),
    );
  }
}
