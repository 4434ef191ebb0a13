/** How one link is drawn: its style is its evidence. Solid measured, dashed inferred, dotted assumed, double by hand. */
import { EdgeProgram, type ProgramInfo } from "sigma/rendering";
import type { EdgeDisplayData, NodeDisplayData, RenderParams } from "sigma/types";
import { floatColor } from "sigma/utils";
import type { LinkEvidence } from "#/api/schema";

const patternNumber: Record<LinkEvidence, number> = { measured: 0, inferred: 1, assumed: 2, drawn: 3 };

export interface EdgeLook extends EdgeDisplayData {
  evidence: LinkEvidence;
  strong: boolean;
  alpha: number;
}

const VERTEX = /* glsl */ `
attribute vec4 a_id;
attribute vec4 a_color;
attribute vec2 a_start;
attribute vec2 a_end;
attribute float a_width;
attribute float a_pattern;
attribute float a_alpha;
attribute float a_along;
attribute float a_side;
uniform mat3 u_matrix;
uniform float u_correctionRatio;
varying vec4 v_color;
varying float v_along;
varying float v_across;
varying float v_half;
varying float v_pattern;
varying float v_alpha;
const float bias = 255.0 / 254.0;
void main() {
  // One pixel of the screen in the units of the camera.
  float pixel = 2.0 * u_correctionRatio;
  vec2 way = a_end - a_start;
  float len = max(length(way), 0.000001);
  vec2 normal = vec2(-way.y, way.x) / len;
  v_half = a_width * 0.5 + 1.0;
  vec2 position = mix(a_start, a_end, a_along) + normal * a_side * v_half * pixel;
  gl_Position = vec4((u_matrix * vec3(position, 1)).xy, 0, 1);
  v_along = a_along * len / pixel;
  v_across = a_side * v_half;
  v_pattern = a_pattern;
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
varying float v_along;
varying float v_across;
varying float v_half;
varying float v_pattern;
varying float v_alpha;
void main() {
  #ifdef PICKING_MODE
  gl_FragColor = v_color;
  #else
  float across = abs(v_across);
  float edge = v_half - 1.0;
  float alpha = 1.0 - smoothstep(edge - 0.5, edge + 0.5, across);
  if (v_pattern > 2.5) alpha *= smoothstep(edge - 2.1, edge - 1.3, across);
  else if (v_pattern > 1.5) alpha *= 1.0 - smoothstep(1.7, 2.3, mod(v_along, 6.0));
  else if (v_pattern > 0.5) alpha *= 1.0 - smoothstep(7.6, 8.4, mod(v_along, 14.0));
  alpha *= v_alpha;
  gl_FragColor = vec4(v_color.rgb * alpha, alpha);
  #endif
}`;

const { FLOAT, UNSIGNED_BYTE, TRIANGLES } = WebGLRenderingContext;
const UNIFORMS = ["u_matrix", "u_correctionRatio"] as const;

export class EvidenceEdgeProgram extends EdgeProgram<(typeof UNIFORMS)[number]> {
  getDefinition() {
    return {
      VERTICES: 6,
      VERTEX_SHADER_SOURCE: VERTEX,
      FRAGMENT_SHADER_SOURCE: FRAGMENT,
      METHOD: TRIANGLES,
      UNIFORMS,
      ATTRIBUTES: [
        { name: "a_start", size: 2, type: FLOAT },
        { name: "a_end", size: 2, type: FLOAT },
        { name: "a_width", size: 1, type: FLOAT },
        { name: "a_color", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_id", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_pattern", size: 1, type: FLOAT },
        { name: "a_alpha", size: 1, type: FLOAT },
      ],
      CONSTANT_ATTRIBUTES: [
        { name: "a_along", size: 1, type: FLOAT },
        { name: "a_side", size: 1, type: FLOAT },
      ],
      CONSTANT_DATA: [
        [0, 1],
        [0, -1],
        [1, 1],
        [1, 1],
        [0, -1],
        [1, -1],
      ],
    };
  }

  processVisibleItem(
    edgeIndex: number,
    start: number,
    source: NodeDisplayData,
    target: NodeDisplayData,
    data: EdgeDisplayData,
  ): void {
    const look = data as EdgeLook;
    const { array } = this;
    let at = start;
    array[at++] = source.x;
    array[at++] = source.y;
    array[at++] = target.x;
    array[at++] = target.y;
    array[at++] = (look.evidence === "drawn" ? 5 : 1.5) + (look.strong ? 1 : 0);
    array[at++] = floatColor(look.color);
    array[at++] = edgeIndex;
    array[at++] = patternNumber[look.evidence];
    array[at++] = look.alpha;
  }

  setUniforms(params: RenderParams, { gl, uniformLocations }: ProgramInfo<(typeof UNIFORMS)[number]>): void {
    gl.uniformMatrix3fv(uniformLocations.u_matrix, false, params.matrix);
    gl.uniform1f(uniformLocations.u_correctionRatio, params.correctionRatio);
  }
}
