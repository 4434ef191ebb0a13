/**
 * How one node is drawn, in one pass on the GPU: disc, status ring, kind icon, status mark by shape, pin, selection.
 * Far away the whole node becomes its status shape. Colors come as uniforms, so a change of theme uploads nothing.
 */
import { NodeProgram, type ProgramInfo } from "sigma/rendering";
import type { NodeDisplayData, RenderParams } from "sigma/types";
import { floatColor } from "sigma/utils";
import type { AssetStatus } from "#/api/schema";
import { ATLAS_COLUMNS, ATLAS_ROWS, iconAtlas } from "./icon-atlas";
import { type MapPalette, rgb } from "./palette";

const shapeNumber: Record<AssetStatus, number> = { up: 0, degraded: 1, down: 2, unknown: 3, maintenance: 4 };

/** What the renderer's reducer adds to sigma's own display data. */
export interface NodeLook extends NodeDisplayData {
  icon: number;
  status: AssetStatus;
  pinned: boolean;
  /** 0 plain, 1 selected or under the keyboard's cursor. */
  mark: number;
  alpha: number;
}

const VERTEX = /* glsl */ `
attribute vec4 a_id;
attribute vec4 a_color;
attribute vec2 a_position;
attribute float a_size;
attribute float a_icon;
attribute float a_shape;
attribute float a_pin;
attribute float a_mark;
attribute float a_alpha;
attribute float a_angle;
uniform mat3 u_matrix;
uniform float u_sizeRatio;
uniform float u_correctionRatio;
uniform float u_pixelRatio;
varying vec4 v_color;
varying vec2 v_at;
varying float v_pixel;
varying float v_radius;
varying float v_icon;
varying float v_shape;
varying float v_pin;
varying float v_mark;
varying float v_alpha;
const float bias = 255.0 / 254.0;
// The corners of a triangle around a circle of 1.5 radii.
const float reach = 3.0;
void main() {
  // On screen a node is never smaller than 3 pixels.
  float radius = max(a_size / u_sizeRatio, 3.0);
  vec2 direction = reach * vec2(cos(a_angle), sin(a_angle));
  vec2 position = a_position + direction * radius * 2.0 * u_correctionRatio;
  gl_Position = vec4((u_matrix * vec3(position, 1)).xy, 0, 1);
  v_at = direction;
  v_radius = radius;
  v_pixel = 1.0 / (radius * u_pixelRatio);
  v_icon = a_icon;
  v_shape = a_shape;
  v_pin = a_pin;
  v_mark = a_mark;
  v_alpha = a_alpha;
  #ifdef PICKING_MODE
  v_color = a_id;
  #else
  v_color = a_color;
  #endif
  v_color.a *= bias;
}`;

const FRAGMENT = /* glsl */ `
precision highp float;
varying vec4 v_color;
varying vec2 v_at;
varying float v_pixel;
varying float v_radius;
varying float v_icon;
varying float v_shape;
varying float v_pin;
varying float v_mark;
varying float v_alpha;
uniform sampler2D u_atlas;
uniform vec2 u_grid;
uniform vec3 u_fill;
uniform vec3 u_ink;
uniform vec3 u_accent;
uniform vec3 u_back;

float shape(vec2 p, float r) {
  if (v_shape < 0.5) return length(p) - r;
  if (v_shape < 1.5) {
    vec2 q = vec2(abs(p.x), p.y + r * 0.25);
    return max(dot(q, vec2(0.8660254, 0.5)) - r * 0.62, -q.y - r * 0.62);
  }
  if (v_shape < 2.5) return max(abs(p.x), abs(p.y)) - r * 0.84;
  if (v_shape < 3.5) return abs(length(p) - r * 0.72) - r * 0.2;
  return abs((abs(p.x) + abs(p.y)) * 0.7071 - r * 0.62) - r * 0.2;
}
float cover(float distance) {
  return 1.0 - smoothstep(-v_pixel, v_pixel, distance);
}
void main() {
  float d = length(v_at);
  #ifdef PICKING_MODE
  if (d > 1.2) discard;
  gl_FragColor = v_color;
  #else
  vec3 color = u_back;
  float alpha = 0.0;
  if (v_mark > 0.5) {
    float halo = cover(abs(d - 1.3) - 0.09);
    color = u_accent;
    alpha = halo;
  }
  if (v_radius < 6.0) {
    float body = cover(shape(v_at, 1.0));
    color = mix(color, v_color.rgb, body);
    alpha = max(alpha, body);
  } else {
    float disc = cover(d - 1.0);
    color = mix(color, u_fill, disc);
    alpha = max(alpha, disc);
    color = mix(color, v_color.rgb, cover(abs(d - 0.925) - 0.075));
    vec2 cell = v_at / 0.58;
    if (abs(cell.x) < 1.0 && abs(cell.y) < 1.0) {
      vec2 inside = vec2(cell.x, -cell.y) * 0.5 + 0.5;
      vec2 place = vec2(mod(v_icon, u_grid.x), floor(v_icon / u_grid.x));
      float icon = texture2D(u_atlas, (place + inside) / u_grid).a;
      color = mix(color, u_ink, icon);
    }
    vec2 badge = v_at - vec2(0.72, -0.72);
    float back = cover(length(badge) - 0.44);
    color = mix(color, u_back, back);
    alpha = max(alpha, back);
    color = mix(color, v_color.rgb, cover(shape(badge, 0.32)));
    if (v_pin > 0.5) {
      vec2 pin = v_at - vec2(0.74, 0.74);
      float pad = cover(length(pin) - 0.34);
      color = mix(color, u_back, pad);
      alpha = max(alpha, pad);
      float head = length(pin - vec2(0.04, 0.06)) - 0.17;
      float needle = max(abs(pin.x + pin.y * -1.0 + 0.02) - 0.05, max(pin.x, -pin.x - 0.24));
      color = mix(color, u_accent, max(cover(head), cover(needle) * step(pin.y, 0.05)));
    }
  }
  alpha *= v_alpha;
  gl_FragColor = vec4(color * alpha, alpha);
  #endif
}`;

const { FLOAT, UNSIGNED_BYTE, TRIANGLES } = WebGLRenderingContext;
const UNIFORMS = [
  "u_sizeRatio",
  "u_correctionRatio",
  "u_pixelRatio",
  "u_matrix",
  "u_atlas",
  "u_grid",
  "u_fill",
  "u_ink",
  "u_accent",
  "u_back",
] as const;

/** A program class bound to a source of colors, which may change between two frames. */
export function nodeProgram(palette: () => MapPalette) {
  return class AssetNodeProgram extends NodeProgram<(typeof UNIFORMS)[number]> {
    private texture: WebGLTexture | null = null;

    getDefinition() {
      return {
        VERTICES: 3,
        VERTEX_SHADER_SOURCE: VERTEX,
        FRAGMENT_SHADER_SOURCE: FRAGMENT,
        METHOD: TRIANGLES,
        UNIFORMS,
        ATTRIBUTES: [
          { name: "a_position", size: 2, type: FLOAT },
          { name: "a_size", size: 1, type: FLOAT },
          { name: "a_color", size: 4, type: UNSIGNED_BYTE, normalized: true },
          { name: "a_id", size: 4, type: UNSIGNED_BYTE, normalized: true },
          { name: "a_icon", size: 1, type: FLOAT },
          { name: "a_shape", size: 1, type: FLOAT },
          { name: "a_pin", size: 1, type: FLOAT },
          { name: "a_mark", size: 1, type: FLOAT },
          { name: "a_alpha", size: 1, type: FLOAT },
        ],
        CONSTANT_ATTRIBUTES: [{ name: "a_angle", size: 1, type: FLOAT }],
        CONSTANT_DATA: [[0], [(2 * Math.PI) / 3], [(4 * Math.PI) / 3]],
      };
    }

    processVisibleItem(nodeIndex: number, start: number, data: NodeDisplayData): void {
      const look = data as NodeLook;
      const { array } = this;
      let at = start;
      array[at++] = look.x;
      array[at++] = look.y;
      array[at++] = look.size;
      array[at++] = floatColor(look.color);
      array[at++] = nodeIndex;
      array[at++] = look.icon;
      array[at++] = shapeNumber[look.status];
      array[at++] = look.pinned ? 1 : 0;
      array[at++] = look.mark;
      array[at++] = look.alpha;
    }

    setUniforms(
      params: RenderParams,
      { gl, uniformLocations }: ProgramInfo<(typeof UNIFORMS)[number]>,
    ): void {
      const colors = palette();
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, this.atlas(gl));
      gl.uniform1i(uniformLocations.u_atlas, 0);
      gl.uniform2f(uniformLocations.u_grid, ATLAS_COLUMNS, ATLAS_ROWS);
      gl.uniform1f(uniformLocations.u_correctionRatio, params.correctionRatio);
      gl.uniform1f(uniformLocations.u_sizeRatio, params.sizeRatio);
      gl.uniform1f(uniformLocations.u_pixelRatio, params.pixelRatio);
      gl.uniformMatrix3fv(uniformLocations.u_matrix, false, params.matrix);
      gl.uniform3fv(uniformLocations.u_fill, rgb(colors.node));
      gl.uniform3fv(uniformLocations.u_ink, rgb(colors.ink));
      gl.uniform3fv(uniformLocations.u_accent, rgb(colors.accent));
      gl.uniform3fv(uniformLocations.u_back, rgb(colors.canvas));
    }

    private atlas(gl: WebGLRenderingContext | WebGL2RenderingContext): WebGLTexture | null {
      if (this.texture) return this.texture;
      this.texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, this.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, iconAtlas());
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      return this.texture;
    }

    override kill(): void {
      if (this.texture) this.normalProgram.gl.deleteTexture(this.texture);
      super.kill();
    }
  };
}
