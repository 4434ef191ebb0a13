/**
 * The one canvas of the map and all that is in GPU memory. Making it takes a while, most of it in the GPU's own time:
 * it is begun before there is anything to draw, and kept for the next map when a map is left.
 */
import type { GL, View } from "./gl";
import { GroundProgram } from "./ground-program";
import { LinkProgram } from "./link-program";
import { NodeProgram } from "./node-program";
import { type MapPalette, rgb } from "./palette";
import { WordsProgram } from "./words-program";

interface Programs {
  ground: GroundProgram;
  links: LinkProgram;
  nodes: NodeProgram;
  words: WordsProgram;
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
    };
  }

  get programs(): Programs {
    return this.made;
  }

  /** `nodeRadius`: that of an ordinary node, in map units. */
  draw(view: View, colors: MapPalette, nodeRadius: number, ground: boolean): void {
    const { gl, canvas, made } = this;
    const width = Math.round(view.size.width * view.ratio);
    const height = Math.round(view.size.height * view.ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    gl.viewport(0, 0, width, height);
    gl.clearColor(...rgb(colors.canvas), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (ground) made.ground.draw(view, colors);
    made.links.draw(view, colors);
    made.nodes.draw(view, colors, nodeRadius);
    made.words.draw(view);
  }

  /** Off the page, and as small as it can be. */
  rest(): void {
    this.onRestored = () => {};
    this.canvas.remove();
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
