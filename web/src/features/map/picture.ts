/**
 * The map as it was drawn last, kept in GPU memory. Without a graphics card drawing thousands of nodes takes a tenth of a
 * second; moving what is drawn takes a few milliseconds. A pan moves the picture by whole pixels and draws only the strips that came
 * into view; what is lit or dragged is drawn above it, so that neither draws it anew.
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
uniform float u_alpha;
out vec4 color_out;
void main() {
  vec2 inside = step(0.0, v_at) * step(v_at, vec2(1.0));
  color_out = vec4(texture(u_picture, v_at).rgb, 1.0) * u_alpha * inside.x * inside.y;
}`;

const UNIFORMS = ["u_from", "u_picture", "u_alpha"] as const;

interface Target {
  texture: WebGLTexture;
  frame: WebGLFramebuffer;
}

export class Picture {
  private readonly program: Program<(typeof UNIFORMS)[number]>;
  private readonly corners: WebGLVertexArrayObject;
  private front: Target;
  private back: Target;
  private width = 0;
  private height = 0;
  private of: { camera: Camera; version: number } | null = null;

  constructor(private readonly gl: GL) {
    this.program = new Program(gl, VERTEX, FRAGMENT, UNIFORMS);
    this.corners = gl.createVertexArray();
    this.front = this.target();
    this.back = this.target();
  }

  private target(): Target {
    const { gl } = this;
    const texture = gl.createTexture();
    const frame = gl.createFramebuffer();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    return { texture, frame };
  }

  private resize(width: number, height: number): void {
    if (width === this.width && height === this.height) return;
    const { gl } = this;
    for (const { texture, frame } of [this.front, this.back]) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    }
    this.width = width;
    this.height = height;
    this.of = null;
  }

  /**
   * Makes the picture true for `view`. Answers the view that it is exactly true for, which is less than a pixel beside the wanted one.
   * `hasty`: while one zooms, the picture that is there is stretched rather than drawn anew.
   */
  bring(view: View, version: number, hasty: boolean, paint: (view: View, part: Part) => void): View {
    const { gl } = this;
    const width = Math.round(view.size.width * view.ratio);
    const height = Math.round(view.size.height * view.ratio);
    this.resize(width, height);
    const { of } = this;
    if (of && of.version === version && of.camera.scale === view.camera.scale) {
      const perUnit = view.camera.scale * view.ratio;
      const dx = Math.round((of.camera.x - view.camera.x) * perUnit);
      const dy = Math.round((of.camera.y - view.camera.y) * perUnit);
      const camera = { ...of.camera, x: of.camera.x - dx / perUnit, y: of.camera.y - dy / perUnit };
      const brought = { ...view, camera };
      if (dx === 0 && dy === 0) return brought;
      if (Math.abs(dx) < width && Math.abs(dy) < height) {
        this.shift(dx, dy);
        of.camera = camera;
        gl.enable(gl.SCISSOR_TEST);
        for (const part of strips(width, height, dx, dy)) {
          gl.scissor(part.x, part.y, part.width, part.height);
          paint(brought, part);
        }
        gl.disable(gl.SCISSOR_TEST);
        gl.bindFramebuffer(gl.FRAMEBUFFER, null);
        return brought;
      }
    } else if (of && of.version === version && hasty) return view;
    this.of = { camera: { ...view.camera }, version };
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.front.frame);
    gl.viewport(0, 0, width, height);
    paint(view, { x: 0, y: 0, width, height });
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return view;
  }

  private shift(dx: number, dy: number): void {
    const { gl, width, height } = this;
    const [left, bottom] = [Math.max(0, dx), Math.max(0, dy)];
    const [right, top] = [width + Math.min(0, dx), height + Math.min(0, dy)];
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, this.front.frame);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, this.back.frame);
    gl.blitFramebuffer(
      left - dx,
      bottom - dy,
      right - dx,
      top - dy,
      left,
      bottom,
      right,
      top,
      gl.COLOR_BUFFER_BIT,
      gl.NEAREST,
    );
    [this.front, this.back] = [this.back, this.front];
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.front.frame);
    gl.viewport(0, 0, width, height);
  }

  /** Onto the screen. */
  show(view: View, alpha: number): void {
    const { gl, of } = this;
    if (!of) return;
    const stretch = of.camera.scale / view.camera.scale;
    const [wide, high] = [view.size.width / of.camera.scale, view.size.height / of.camera.scale];
    const x = 0.5 - stretch / 2 + (view.camera.x - of.camera.x) / wide;
    const y = 0.5 - stretch / 2 + (view.camera.y - of.camera.y) / high;
    const at = this.program.use();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.front.texture);
    gl.uniform1i(at.u_picture, 0);
    // Exactly pixel on pixel where nothing is stretched.
    gl.uniform4f(at.u_from, stretch === 1 ? 0 : x, stretch === 1 ? 0 : y, stretch, stretch);
    gl.uniform1f(at.u_alpha, alpha);
    gl.bindVertexArray(this.corners);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  rest(): void {
    this.resize(1, 1);
  }
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
