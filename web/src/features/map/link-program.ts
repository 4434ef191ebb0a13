/** How links are drawn: their style is their evidence. Solid measured, dashed inferred, dotted assumed, double by hand. */
import type { LinkEvidence } from "#/api/schema";
import { type GL, Program, Rows, setView, VIEW, VIEW_UNIFORMS, type View } from "./gl";
import type { Place } from "./layout";
import { type MapPalette, rgb } from "./palette";

const patternNumber: Record<LinkEvidence, number> = { measured: 0, inferred: 1, assumed: 2, drawn: 3 };

export interface LinkLook {
  from: Place;
  to: Place;
  evidence: LinkEvidence;
  strong: boolean;
  alpha: number;
}

export const LINK_FLOATS = 8;

export function linkRows(looks: readonly LinkLook[]): Float32Array<ArrayBuffer> {
  const values = new Float32Array(looks.length * LINK_FLOATS);
  let at = 0;
  for (const { from, to, evidence, strong, alpha } of looks) {
    values[at++] = from.x;
    values[at++] = from.y;
    values[at++] = to.x;
    values[at++] = to.y;
    values[at++] = (evidence === "drawn" ? 5 : 1.5) + Number(strong);
    values[at++] = patternNumber[evidence];
    values[at++] = Number(strong);
    values[at++] = alpha;
  }
  return values;
}

const VERTEX = /* glsl */ `
layout(location = 0) in vec4 a_ends;
layout(location = 1) in vec4 a_style;
${VIEW}
out vec2 v_at;
flat out float v_half;
flat out vec3 v_style;
void main() {
  vec2 way = a_ends.zw - a_ends.xy;
  float len = max(length(way), 0.000001);
  vec2 normal = vec2(-way.y, way.x) / len;
  vec2 at = corner();
  float along = at.x * 0.5 + 0.5;
  // From far away a double line is a thick one: it is drawn as a plain one.
  bool far = u_pixel.x < 0.4;
  v_half = (far ? min(a_style.x, 2.0) : a_style.x) * 0.5 + 1.0;
  v_at = vec2(along * len * u_pixel.x, at.y * v_half);
  v_style = vec3(far && a_style.y > 2.5 ? 0.0 : a_style.y, a_style.zw);
  gl_Position = onScreen(mix(a_ends.xy, a_ends.zw, along) + normal * v_at.y / u_pixel.x);
}`;

const FRAGMENT = /* glsl */ `
in vec2 v_at;
flat in float v_half;
flat in vec3 v_style;
uniform vec3 u_plain;
uniform vec3 u_strong;
out vec4 color_out;
void main() {
  float across = abs(v_at.y);
  float edge = v_half - 1.0;
  float alpha = 1.0 - smoothstep(edge - 0.5, edge + 0.5, across);
  float pattern = v_style.x;
  if (pattern > 2.5) alpha *= smoothstep(edge - 2.1, edge - 1.3, across);
  else if (pattern > 1.5) alpha *= 1.0 - smoothstep(1.7, 2.3, mod(v_at.x, 6.0));
  else if (pattern > 0.5) alpha *= 1.0 - smoothstep(7.6, 8.4, mod(v_at.x, 14.0));
  alpha *= v_style.z;
  color_out = vec4(mix(u_plain, u_strong, v_style.y) * alpha, alpha);
}`;

const UNIFORMS = [...VIEW_UNIFORMS, "u_plain", "u_strong"] as const;

export class LinkProgram {
  private readonly program: Program<(typeof UNIFORMS)[number]>;
  private readonly rows: Rows;

  constructor(private readonly gl: GL) {
    this.program = new Program(gl, VERTEX, FRAGMENT, UNIFORMS);
    this.rows = new Rows(gl, [4, 4], "thing");
  }

  set(values: Float32Array<ArrayBuffer>): void {
    this.rows.set(values);
  }

  draw(view: View, colors: MapPalette): void {
    if (this.rows.empty) return;
    const { gl } = this;
    const at = this.program.use();
    setView(gl, at, view);
    gl.uniform3fv(at.u_plain, rgb(colors.link));
    gl.uniform3fv(at.u_strong, rgb(colors.linkStrong));
    this.rows.draw();
  }
}
