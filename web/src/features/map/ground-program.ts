/** How the ground of the groups is drawn: the hull of each, filled, and a thin line around it. */
import { type GL, Program, Rows, setView, VIEW, VIEW_UNIFORMS, type View } from "./gl";
import type { Rim } from "./hull";
import { type MapPalette, rgb } from "./palette";

const FLOATS = 6;

const VERTEX = /* glsl */ `
layout(location = 0) in vec2 a_place;
layout(location = 1) in vec2 a_normal;
layout(location = 2) in vec2 a_part;
${VIEW}
out float v_across;
flat out float v_line;
void main() {
  v_across = a_part.x * 1.5;
  v_line = a_part.y;
  gl_Position = onScreen(a_place + a_normal * v_across / u_pixel.x);
}`;

const FRAGMENT = /* glsl */ `
in float v_across;
flat in float v_line;
uniform vec3 u_fill;
uniform vec3 u_line;
out vec4 color_out;
void main() {
  // The line is one pixel wide and one pixel soft.
  float alpha = v_line > 0.5 ? clamp(1.0 - abs(v_across), 0.0, 1.0) : 1.0;
  color_out = vec4(mix(u_fill, u_line, v_line) * alpha, alpha);
}`;

const UNIFORMS = [...VIEW_UNIFORMS, "u_fill", "u_line"] as const;

export class GroundProgram {
  private readonly program: Program<(typeof UNIFORMS)[number]>;
  private readonly rows: Rows;

  constructor(private readonly gl: GL) {
    this.program = new Program(gl, VERTEX, FRAGMENT, UNIFORMS);
    this.rows = new Rows(gl, [2, 2, 2], "vertex");
  }

  set(rims: readonly Rim[]): void {
    const corners = rims.reduce((sum, rim) => sum + Math.max(0, rim.length - 2) * 3 + rim.length * 6, 0);
    const values = new Float32Array(corners * FLOATS);
    let at = 0;
    const put = (point: Rim[number] | undefined, side: number, line: number) => {
      if (!point) return;
      values.set([point.x, point.y, point.nx, point.ny, side, line], at);
      at += FLOATS;
    };
    for (const rim of rims) {
      for (let to = 2; to < rim.length; to++)
        for (const point of [rim[0], rim[to - 1], rim[to]]) put(point, 0, 0);
      for (const [from, point] of rim.entries()) {
        const next = rim[(from + 1) % rim.length];
        put(point, -1, 1);
        put(point, 1, 1);
        put(next, -1, 1);
        put(next, -1, 1);
        put(point, 1, 1);
        put(next, 1, 1);
      }
    }
    this.rows.set(values);
  }

  draw(view: View, colors: MapPalette): void {
    if (this.rows.empty) return;
    const { gl } = this;
    const at = this.program.use();
    setView(gl, at, view);
    gl.uniform3fv(at.u_fill, rgb(colors.group));
    gl.uniform3fv(at.u_line, rgb(colors.groupLine));
    this.rows.draw();
  }
}
