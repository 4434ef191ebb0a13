/**
 * The map as it was drawn last, kept in GPU memory. Without a graphics card drawing thousands of nodes takes a tenth of a
 * second; showing what is drawn takes a few milliseconds. The picture goes round: its left edge follows its right one, so a
 * pan by whole pixels only moves its corner and draws the strips that came into view. What is lit or dragged is drawn
 * above it, so that neither draws it anew.
 */
import type { Camera } from "./camera";
import { type GL, Program, type View } from "./gl";

/** A part of the picture in pixels of the device, from its lower left corner. */
export interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
}

const VERTEX = /* glsl */ `
uniform vec4 u_from;
out vec2 v_at;
void main() {
  vec2 part = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(part * 2.0 - 1.0, 0.0, 1.0);
  v_at = u_from.xy + part * u_from.zw;
}`;

const FRAGMENT = /* glsl */ `
in vec2 v_at;
uniform sampler2D u_picture;
uniform vec2 u_corner;
uniform vec3 u_back;
uniform float u_alpha;
out vec4 color_out;
void main() {
  vec2 inside = step(0.0, v_at) * step(v_at, vec2(1.0));
  vec3 color = mix(u_back, texture(u_picture, v_at + u_corner).rgb, inside.x * inside.y);
  color_out = vec4(color, 1.0) * u_alpha;
}`;

const UNIFORMS = ["u_from", "u_picture", "u_corner", "u_back", "u_alpha"] as const;

export class Picture {
  private readonly program: Program<(typeof UNIFORMS)[number]>;
  private readonly corners: WebGLVertexArrayObject;
  private readonly texture: WebGLTexture;
  private readonly frame: WebGLFramebuffer;
  private width = 0;
  private height = 0;
  /** Where in the texture the lower left pixel of the screen is. */
  private corner = { x: 0, y: 0 };
  private of: { camera: Camera; version: number } | null = null;
  /** How often all of it was drawn anew. */
  wholes = 0;

  constructor(private readonly gl: GL) {
    this.program = new Program(gl, VERTEX, FRAGMENT, UNIFORMS);
    this.corners = gl.createVertexArray();
    this.texture = gl.createTexture();
    this.frame = gl.createFramebuffer();
  }

  private resize(width: number, height: number): void {
    if (width === this.width && height === this.height) return;
    const { gl, texture, frame } = this;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    this.width = width;
    this.height = height;
    this.of = null;
  }

  /**
   * Makes the picture true for `view`. Answers the view that it is exactly true for, which is less than a pixel beside the wanted one.
   * `hasty`: while one zooms, the picture that is there is stretched rather than drawn anew.
   */
  bring(view: View, version: number, hasty: boolean, paint: (view: View, part: Part) => void): View {
    const width = Math.round(view.size.width * view.ratio);
    const height = Math.round(view.size.height * view.ratio);
    this.resize(width, height);
    const { of, corner } = this;
    if (of && of.version === version && of.camera.scale === view.camera.scale) {
      const perUnit = view.camera.scale * view.ratio;
      const dx = Math.round((of.camera.x - view.camera.x) * perUnit);
      const dy = Math.round((of.camera.y - view.camera.y) * perUnit);
      const camera = { ...of.camera, x: of.camera.x - dx / perUnit, y: of.camera.y - dy / perUnit };
      const brought = { ...view, camera };
      if (dx === 0 && dy === 0) return brought;
      if (Math.abs(dx) < width && Math.abs(dy) < height) {
        this.corner = { x: rest(corner.x - dx, width), y: rest(corner.y - dy, height) };
        of.camera = camera;
        this.paintIn(strips(width, height, dx, dy), brought, paint);
        return brought;
      }
    } else if (of && of.version === version && hasty && bearable(view.camera.scale / of.camera.scale))
      return view;
    this.of = { camera: { ...view.camera }, version };
    this.wholes += 1;
    this.corner = { x: 0, y: 0 };
    this.paintIn([{ x: 0, y: 0, width, height }], view, paint);
    return view;
  }

  private paintIn(parts: readonly Part[], view: View, paint: (view: View, part: Part) => void): void {
    const { gl, width, height, corner } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.enable(gl.SCISSOR_TEST);
    for (const part of parts)
      for (const { x, y, from } of pieces(part, corner, width, height)) {
        gl.viewport(x, y, width, height);
        gl.scissor(from.x + x, from.y + y, from.width, from.height);
        paint(view, from);
      }
    gl.disable(gl.SCISSOR_TEST);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** Onto the screen, in the color `back` where there is no picture; with an `alpha` of 1 whatever was there is gone. */
  show(view: View, alpha: number, back: readonly [number, number, number]): void {
    const { gl, of } = this;
    if (!of) return;
    const stretch = of.camera.scale / view.camera.scale;
    const [wide, high] = [view.size.width / of.camera.scale, view.size.height / of.camera.scale];
    const x = 0.5 - stretch / 2 + (view.camera.x - of.camera.x) / wide;
    const y = 0.5 - stretch / 2 + (view.camera.y - of.camera.y) / high;
    // Without a graphics card this takes most of a frame: blending reads every pixel of the screen once more, and going
    // round takes longer than not.
    if (alpha === 1) gl.disable(gl.BLEND);
    const { corner } = this;
    const wrap = corner.x === 0 && corner.y === 0 ? gl.CLAMP_TO_EDGE : gl.REPEAT;
    const filter = stretch === 1 ? gl.NEAREST : gl.LINEAR;
    const at = this.program.use();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, wrap);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, wrap);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
    gl.uniform1i(at.u_picture, 0);
    // Exactly pixel on pixel where nothing is stretched.
    gl.uniform4f(at.u_from, stretch === 1 ? 0 : x, stretch === 1 ? 0 : y, stretch, stretch);
    gl.uniform2f(at.u_corner, corner.x / this.width, corner.y / this.height);
    gl.uniform3f(at.u_back, ...back);
    gl.uniform1f(at.u_alpha, alpha);
    gl.bindVertexArray(this.corners);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.enable(gl.BLEND);
  }

  /** `draw`: into the picture, where a canvas that was drawn to would be shown empty. It must leave no trace. */
  prepare(draw: () => void): void {
    const { gl } = this;
    this.program.use();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    draw();
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  rest(): void {
    this.resize(1, 1);
  }
}

function rest(at: number, length: number): number {
  return ((at % length) + length) % length;
}

/**
 * A part of the screen lies in up to four pieces of the texture. `x`, `y`: from the screen to the texture; `from`: which piece of the screen.
 */
export function pieces(
  part: Part,
  corner: { x: number; y: number },
  width: number,
  height: number,
): { x: number; y: number; from: Part }[] {
  const along = (start: number, length: number, shift: number, all: number) =>
    [shift, shift - all].flatMap((by) => {
      const first = Math.max(start, -by);
      const last = Math.min(start + length, all - by);
      return last > first ? [{ by, first, length: last - first }] : [];
    });
  return along(part.x, part.width, corner.x, width).flatMap((across) =>
    along(part.y, part.height, corner.y, height).map((up) => ({
      x: across.by,
      y: up.by,
      from: { x: across.first, y: up.first, width: across.length, height: up.length },
    })),
  );
}

/** Stretched farther, a picture is a blur, or ends inside the screen. */
function bearable(stretch: number): boolean {
  return stretch < 8 && stretch > 0.2;
}

/** What a move by (dx, dy) brings into view: a strip at a side, and one at the top or the foot. */
export function strips(width: number, height: number, dx: number, dy: number): Part[] {
  const parts: Part[] = [];
  const wide = Math.abs(dx);
  const high = Math.abs(dy);
  if (wide > 0) parts.push({ x: dx > 0 ? 0 : width - wide, y: 0, width: wide, height });
  if (high > 0)
    parts.push({ x: dx > 0 ? wide : 0, y: dy > 0 ? 0 : height - high, width: width - wide, height: high });
  return parts.filter((part) => part.width > 0 && part.height > 0);
}
