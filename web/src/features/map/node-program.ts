/**
 * How nodes are drawn, in one pass on the GPU: disc, status ring, kind icon, status mark by shape, pin, selection, cursor.
 * Far away the whole node becomes its status shape. Colors come as uniforms, so a change of theme uploads nothing.
 */
import type { AssetStatus } from "#/api/schema";
import { type GL, Program, Rows, setView, VIEW, VIEW_UNIFORMS, type View } from "./gl";
import { ATLAS_CELL, ATLAS_COLUMNS, ATLAS_ROWS, iconAtlas } from "./icon-atlas";
import { type MapPalette, rgb } from "./palette";

const statuses: readonly AssetStatus[] = ["up", "degraded", "down", "unknown", "maintenance", "not_seen"];
const shapeNumber = Object.fromEntries(statuses.map((status, at) => [status, at])) as Record<
  AssetStatus,
  number
>;

/** A ring in the accent color is what is selected; four corners in the color of words are where the keys are. */
export type Mark = "none" | "selected" | "cursor";
const marks: readonly Mark[] = ["none", "selected", "cursor"];

export interface NodeLook {
  x: number;
  y: number;
  /** Radius, in map units. */
  size: number;
  icon: number;
  status: AssetStatus;
  pinned: boolean;
  mark: Mark;
  alpha: number;
}

export const NODE_FLOATS = 8;

export function nodeRows(looks: readonly NodeLook[]): Float32Array<ArrayBuffer> {
  const values = new Float32Array(looks.length * NODE_FLOATS);
  let at = 0;
  for (const look of looks) {
    values[at++] = look.x;
    values[at++] = look.y;
    values[at++] = look.size;
    values[at++] = look.icon;
    values[at++] = shapeNumber[look.status];
    values[at++] = Number(look.pinned);
    values[at++] = marks.indexOf(look.mark);
    values[at++] = look.alpha;
  }
  return values;
}

/** Under this radius, in pixels, an icon is a smudge: the status shape alone is drawn. */
const SHAPE_ONLY = 6;
const VERTEX = /* glsl */ `
layout(location = 0) in vec3 a_place;
layout(location = 1) in vec2 a_what;
layout(location = 2) in vec3 a_state;
${VIEW}
out vec2 v_at;
flat out float v_pixel;
flat out vec2 v_what;
flat out vec3 v_state;
void main() {
  // On screen a node is never smaller than 3 pixels.
  float radius = max(a_place.z * u_pixel.x, 3.0);
  v_pixel = 1.0 / (radius * u_pixel.y);
  // What sticks out of the disc: the status mark and the pin, or the ring or the corners around it.
  #ifdef FAR
  float reach = a_state.y > 0.5 ? 1.45 : 1.0 + v_pixel;
  #else
  float reach = a_state.y > 0.5 ? 1.45 : 1.2;
  #endif
  v_at = corner() * reach;
  v_what = a_what;
  v_state = a_state;
  gl_Position = onScreen(a_place.xy + v_at * radius / u_pixel.x);
}`;

const FRAGMENT = /* glsl */ `
in vec2 v_at;
flat in float v_pixel;
flat in vec2 v_what;
flat in vec3 v_state;
uniform vec3 u_status[6];
uniform vec3 u_mark;
uniform vec3 u_back;
uniform vec3 u_ink;
#ifndef FAR
uniform sampler2D u_atlas;
uniform vec2 u_grid;
uniform float u_cell;
uniform vec3 u_fill;
#endif
out vec4 color_out;

float shape(vec2 p, float r) {
  if (v_what.y < 0.5) return length(p) - r;
  if (v_what.y < 1.5) {
    vec2 q = vec2(abs(p.x), p.y + r * 0.25);
    return max(dot(q, vec2(0.8660254, 0.5)) - r * 0.62, -q.y - r * 0.62);
  }
  if (v_what.y < 2.5) return max(abs(p.x), abs(p.y)) - r * 0.84;
  if (v_what.y < 3.5) return abs(length(p) - r * 0.72) - r * 0.2;
  if (v_what.y < 4.5) return abs((abs(p.x) + abs(p.y)) * 0.7071 - r * 0.62) - r * 0.2;
  return abs(max(abs(p.x), abs(p.y)) - r * 0.66) - r * 0.18;
}
float cover(float distance) {
  return 1.0 - smoothstep(-v_pixel, v_pixel, distance);
}
void main() {
  vec3 status = u_status[int(v_what.y + 0.5)];
  float d = length(v_at);
  vec3 color = u_back;
  float alpha = 0.0;
  if (v_state.y > 1.5) {
    vec2 side = abs(v_at);
    alpha = cover(abs(max(side.x, side.y) - 1.32) - 0.075) * step(0.72, min(side.x, side.y));
    color = u_ink;
  } else if (v_state.y > 0.5) {
    alpha = cover(abs(d - 1.3) - 0.09);
    color = u_mark;
  }
  #ifdef FAR
  float body = cover(shape(v_at, 1.0));
  color = mix(color, status, body);
  alpha = max(alpha, body);
  #else
  float disc = cover(d - 1.0);
  color = mix(color, u_fill, disc);
  alpha = max(alpha, disc);
  color = mix(color, status, cover(abs(d - 0.925) - 0.075));
  vec2 cell = v_at / 0.58;
  if (abs(cell.x) < 1.0 && abs(cell.y) < 1.0) {
    vec2 inside = vec2(cell.x, -cell.y) * 0.5 + 0.5;
    vec2 place = vec2(mod(v_what.x, u_grid.x), floor(v_what.x / u_grid.x));
    // Of the smaller pictures of the atlas, the one that has about as many pixels as the screen here.
    float icon = textureLod(u_atlas, (place + inside) / u_grid, log2(max(1.0, u_cell * v_pixel / 1.16))).a;
    color = mix(color, u_ink, icon);
  }
  vec2 badge = v_at - vec2(0.72, -0.72);
  float back = cover(length(badge) - 0.44);
  color = mix(color, u_back, back);
  alpha = max(alpha, back);
  color = mix(color, status, cover(shape(badge, 0.32)));
  if (v_state.x > 0.5) {
    vec2 pin = v_at - vec2(0.74, 0.74);
    float pad = cover(length(pin) - 0.34);
    color = mix(color, u_back, pad);
    alpha = max(alpha, pad);
    float head = length(pin - vec2(0.04, 0.06)) - 0.17;
    float needle = max(abs(pin.x + pin.y * -1.0 + 0.02) - 0.05, max(pin.x, -pin.x - 0.24));
    color = mix(color, u_mark, max(cover(head), cover(needle) * step(pin.y, 0.05)));
  }
  #endif
  alpha *= v_state.z;
  color_out = vec4(color * alpha, alpha);
}`;

const FAR_UNIFORMS = [...VIEW_UNIFORMS, "u_status", "u_mark", "u_back", "u_ink"] as const;
const UNIFORMS = [...FAR_UNIFORMS, "u_atlas", "u_grid", "u_cell", "u_fill"] as const;

export class NodeProgram {
  private readonly rows: Rows;
  private readonly far: Program<(typeof FAR_UNIFORMS)[number]>;
  private readonly near: Program<(typeof UNIFORMS)[number]>;
  private texture: WebGLTexture | null = null;

  constructor(private readonly gl: GL) {
    const far = "#define FAR\n";
    this.far = new Program(gl, far + VERTEX, far + FRAGMENT, FAR_UNIFORMS);
    this.near = new Program(gl, VERTEX, FRAGMENT, UNIFORMS);
    this.rows = new Rows(gl, [3, 2, 3], "thing");
  }

  set(values: Float32Array<ArrayBuffer>): void {
    this.rows.set(values);
  }

  /** `radius`: that of an ordinary node, in map units. */
  draw(view: View, colors: MapPalette, radius: number): void {
    if (this.rows.empty) return;
    const { gl } = this;
    const isFar = radius * view.camera.scale < SHAPE_ONLY;
    const at = isFar ? this.far.use() : this.near.use();
    setView(gl, at, view);
    gl.uniform3fv(at.u_status, new Float32Array(statuses.flatMap((status) => rgb(colors.status[status]))));
    gl.uniform3fv(at.u_mark, rgb(colors.mark));
    gl.uniform3fv(at.u_back, rgb(colors.canvas));
    gl.uniform3fv(at.u_ink, rgb(colors.ink));
    if (!isFar) {
      const near = this.near.use();
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, this.atlas());
      gl.uniform1i(near.u_atlas, 0);
      gl.uniform2f(near.u_grid, ATLAS_COLUMNS, ATLAS_ROWS);
      gl.uniform1f(near.u_cell, ATLAS_CELL);
      gl.uniform3fv(near.u_fill, rgb(colors.node));
    }
    this.rows.draw();
  }

  private atlas(): WebGLTexture {
    if (this.texture) return this.texture;
    const { gl } = this;
    this.texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, iconAtlas());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.generateMipmap(gl.TEXTURE_2D);
    return this.texture;
  }
}
