/**
 * The one canvas of the map and all that is in GPU memory. Making it takes a while, most of it in the GPU's own time:
 * it is begun before there is anything to draw, and kept for the next map when a map is left.
 */
import type { GL, View } from "./gl";
import { GroundProgram } from "./ground-program";
import type { Rim } from "./hull";
import { LINK_FLOATS, LinkProgram } from "./link-program";
import { NODE_FLOATS, NodeProgram } from "./node-program";
import { type MapPalette, rgb } from "./palette";
import { type Part, Picture } from "./picture";
import { WordsProgram } from "./words-program";

interface Programs {
  ground: GroundProgram;
  links: LinkProgram;
  nodes: NodeProgram;
  words: WordsProgram;
  picture: Picture;
}

/** Links and nodes as rows for the GPU: `linkRows`, `nodeRows`. */
export interface Layer {
  links: Float32Array<ArrayBuffer>;
  nodes: Float32Array<ArrayBuffer>;
}
export interface Frame {
  view: View;
  colors: MapPalette;
  /** Radius of an ordinary node, in map units. */
  radius: number;
  ground: boolean;
  /** What seldom changes, and a number that changes with it. */
  base: Layer;
  version: number;
  /** What is lit, chosen or dragged. */
  above: Layer;
  /** How much of the base is seen. */
  baseAlpha: number;
  /** The picture may be stretched for now. */
  hasty: boolean;
}

export class Pixels {
  readonly canvas = document.createElement("canvas");
  private readonly gl: GL;
  private made: Programs;
  /** The GPU was reset: everything must be given to it again. */
  onRestored: () => void = () => {};

  constructor() {
    this.canvas.className = "absolute inset-0 size-full";
    this.canvas.setAttribute("aria-hidden", "true");
    const gl = this.canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl)
      throw new Error("This browser has no WebGL 2, which the map is drawn with. The list view works.");
    this.gl = gl;
    this.made = this.make();
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.made = this.make();
      this.onRestored();
    });
  }

  private make(): Programs {
    const { gl } = this;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    return {
      nodes: new NodeProgram(gl),
      links: new LinkProgram(gl),
      ground: new GroundProgram(gl),
      words: new WordsProgram(gl),
      picture: new Picture(gl),
    };
  }

  get programs(): Programs {
    return this.made;
  }

  setGround(rims: readonly Rim[]): void {
    this.made.ground.set(rims);
  }

  /** Makes the picture true, and answers the view that it is true for: words go by that. */
  bring(frame: Frame): View {
    const { canvas, made } = this;
    const { view } = frame;
    const width = Math.round(view.size.width * view.ratio);
    const height = Math.round(view.size.height * view.ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    return made.picture.bring(view, frame.version, frame.hasty, (at, part) => this.paint(frame, at, part));
  }

  /** `view`: what `bring` answered. */
  draw(frame: Frame, view: View): void {
    const { gl, canvas, made } = this;
    const { colors, above, baseAlpha } = frame;
    gl.viewport(0, 0, canvas.width, canvas.height);
    if (baseAlpha < 1) {
      this.clear(colors);
      if (frame.ground) made.ground.draw(view, colors);
    }
    made.picture.show(view, baseAlpha, rgb(colors.canvas));
    made.links.set(above.links);
    made.links.draw(view, colors);
    made.nodes.set(above.nodes);
    made.nodes.draw(view, colors, frame.radius);
    made.words.draw(view);
  }

  /** How often all of the picture was drawn anew. */
  get wholes(): number {
    return this.made.picture.wholes;
  }

  /** The first near look would wait until the GPU has the programs for it: they are made ready before. */
  prepare(colors: MapPalette, radius: number): void {
    const { gl, made } = this;
    const view = { camera: { x: 0, y: 0, scale: 1 }, size: { width: 1, height: 1 }, ratio: 1 };
    made.picture.prepare(() => {
      gl.colorMask(false, false, false, false);
      made.nodes.set(new Float32Array(NODE_FLOATS));
      made.nodes.draw(view, colors, radius);
      gl.colorMask(true, true, true, true);
    });
  }

  private clear(colors: MapPalette): void {
    this.gl.clearColor(...rgb(colors.canvas), 1);
    this.gl.clear(this.gl.COLOR_BUFFER_BIT);
  }

  private paint({ colors, base, radius, ground }: Frame, view: View, part: Part): void {
    const { made } = this;
    this.clear(colors);
    if (ground) made.ground.draw(view, colors);
    const box = mapBox(view, part);
    made.links.set(linksIn(base.links, box));
    made.links.draw(view, colors);
    made.nodes.set(nodesIn(base.nodes, box));
    made.nodes.draw(view, colors, radius);
  }

  /** Off the page, and as small as it can be. */
  rest(): void {
    this.onRestored = () => {};
    this.canvas.remove();
    this.made.picture.rest();
    this.canvas.width = 1;
    this.canvas.height = 1;
  }

  end(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** Calls back in a frame after the GPU has done everything that was asked of it so far. */
  whenDone(then: () => void): void {
    const { gl } = this;
    const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const look = () => {
      if (sync && !gl.isContextLost() && gl.getSyncParameter(sync, gl.SYNC_STATUS) !== gl.SIGNALED)
        requestAnimationFrame(look);
      else {
        gl.deleteSync(sync);
        then();
      }
    };
    requestAnimationFrame(look);
  }
}

interface Box {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

/** What a part of the picture shows, in map units, with room for what sticks out of its place. */
function mapBox({ camera, size, ratio }: View, part: Part): Box {
  const perUnit = camera.scale * ratio;
  const left = camera.x - size.width / 2 / camera.scale + part.x / perUnit;
  const bottom = camera.y - size.height / 2 / camera.scale + part.y / perUnit;
  const reach = 30 + 8 / camera.scale;
  return {
    left: left - reach,
    bottom: bottom - reach,
    right: left + part.width / perUnit + reach,
    top: bottom + part.height / perUnit + reach,
  };
}

function chosen(
  rows: Float32Array<ArrayBuffer>,
  floats: number,
  isIn: (at: number) => boolean,
): Float32Array<ArrayBuffer> {
  const starts: number[] = [];
  for (let at = 0; at < rows.length; at += floats) if (isIn(at)) starts.push(at);
  // Most often all are in: the first picture shows everything.
  if (starts.length * floats === rows.length) return rows;
  const out = new Float32Array(starts.length * floats);
  let to = 0;
  for (const start of starts) for (let at = start; at < start + floats; at++) out[to++] = rows[at] ?? 0;
  return out;
}

function nodesIn(rows: Float32Array<ArrayBuffer>, { left, right, bottom, top }: Box) {
  return chosen(rows, NODE_FLOATS, (at) => {
    const x = rows[at] ?? 0;
    const y = rows[at + 1] ?? 0;
    return x >= left && x <= right && y >= bottom && y <= top;
  });
}

function linksIn(rows: Float32Array<ArrayBuffer>, { left, right, bottom, top }: Box) {
  return chosen(rows, LINK_FLOATS, (at) => {
    const ax = rows[at] ?? 0;
    const ay = rows[at + 1] ?? 0;
    const bx = rows[at + 2] ?? 0;
    const by = rows[at + 3] ?? 0;
    return (
      Math.max(ax, bx) >= left &&
      Math.min(ax, bx) <= right &&
      Math.max(ay, by) >= bottom &&
      Math.min(ay, by) <= top
    );
  });
}

let spare: Pixels | null = null;

/** Begins what the next map will need. Cheap to call twice; says nothing when there is no WebGL. */
export function warmUp(): void {
  try {
    spare ??= new Pixels();
  } catch {
    // The map itself will say so.
  }
}

export function takePixels(): Pixels {
  const pixels = spare ?? new Pixels();
  spare = null;
  return pixels;
}

export function givePixels(pixels: Pixels): void {
  pixels.rest();
  if (spare) pixels.end();
  else spare = pixels;
}
