/** The little of WebGL that the map's programs share. Asking WebGL a question waits for the GPU, so little is asked. */
import type { Camera, Size } from "./camera";

export type GL = WebGL2RenderingContext;

export interface View {
  camera: Camera;
  size: Size;
  /** Pixels of the device for one of CSS. */
  ratio: number;
}

type Locations<U extends string> = Record<U, WebGLUniformLocation | null>;

/** Compiled in the background: nothing is asked about it until the first use. */
export class Program<U extends string> {
  private readonly program: WebGLProgram;
  private locations: Locations<U> | null = null;

  constructor(
    private readonly gl: GL,
    vertex: string,
    fragment: string,
    private readonly uniforms: readonly U[],
  ) {
    this.program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(type);
      if (!shader) continue;
      gl.shaderSource(shader, `#version 300 es\nprecision highp float;\n${source}`);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
      gl.deleteShader(shader);
    }
    gl.linkProgram(this.program);
  }

  use(): Locations<U> {
    const { gl, program } = this;
    if (!this.locations) {
      if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
        throw new Error(`A program of the map does not link: ${gl.getProgramInfoLog(program)}`);
      this.locations = Object.fromEntries(
        this.uniforms.map((name) => [name, gl.getUniformLocation(program, name)]),
      ) as Locations<U>;
    }
    // biome-ignore lint/correctness/useHookAtTopLevel: not React's
    gl.useProgram(program);
    return this.locations;
  }
}

/** Rows of floats in GPU memory: one row for each vertex, or for each thing that is drawn from four corners. */
export class Rows {
  private readonly array: WebGLVertexArrayObject;
  private readonly buffer: WebGLBuffer;
  private count = 0;

  /** `sizes`: how many floats each attribute takes; attribute 0 is the first. */
  constructor(
    private readonly gl: GL,
    private readonly sizes: readonly number[],
    private readonly each: "vertex" | "thing",
  ) {
    this.array = gl.createVertexArray();
    this.buffer = gl.createBuffer();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    let offset = 0;
    for (const [index, size] of sizes.entries()) {
      gl.enableVertexAttribArray(index);
      gl.vertexAttribPointer(index, size, gl.FLOAT, false, 4 * this.width, offset);
      if (each === "thing") gl.vertexAttribDivisor(index, 1);
      offset += 4 * size;
    }
    gl.bindVertexArray(null);
  }

  private get width(): number {
    return this.sizes.reduce((sum, size) => sum + size, 0);
  }

  set(values: Float32Array<ArrayBuffer>): void {
    const { gl } = this;
    this.count = values.length / this.width;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
  }

  get empty(): boolean {
    return this.count === 0;
  }

  draw(): void {
    const { gl } = this;
    gl.bindVertexArray(this.array);
    if (this.each === "thing") gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    else gl.drawArrays(gl.TRIANGLES, 0, this.count);
  }
}

/** For a vertex shader: map → screen, and the four corners of a thing. */
export const VIEW = /* glsl */ `
uniform vec4 u_view;
uniform vec2 u_pixel;
vec4 onScreen(vec2 place) {
  return vec4((place - u_view.xy) * u_view.zw, 0.0, 1.0);
}
vec2 corner() {
  return vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
}
`;
export const VIEW_UNIFORMS = ["u_view", "u_pixel"] as const;

export function setView(gl: GL, at: Locations<"u_view" | "u_pixel">, { camera, size, ratio }: View): void {
  gl.uniform4f(
    at.u_view,
    camera.x,
    camera.y,
    (2 * camera.scale) / size.width,
    (2 * camera.scale) / size.height,
  );
  gl.uniform2f(at.u_pixel, camera.scale, ratio);
}
