/**
 * How words are drawn: each text once into a sheet, from then on as a picture from there. A frame says anew what stands
 * where; what was said before costs nothing but its four corners.
 */
import { type GL, Program, Rows, type View } from "./gl";

/** A drawing of words around a spot, in CSS pixels: the box that it stays in, and how it is made. */
export interface Words {
  left: number;
  top: number;
  width: number;
  height: number;
  draw(context: CanvasRenderingContext2D): void;
}

interface Picture {
  left: number;
  top: number;
  width: number;
  height: number;
  u: number;
  v: number;
}

const SHEET_WIDTH = 2048;
const SHEET_FIRST_HEIGHT = 512;
const SHEET_HEIGHT_MAX = 4096;

const VERTEX = /* glsl */ `
layout(location = 0) in vec4 a_box;
layout(location = 1) in vec3 a_look;
uniform vec2 u_screen;
uniform vec2 u_sheet;
out vec2 v_at;
flat out float v_alpha;
void main() {
  vec2 part = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  vec2 spot = (a_box.xy + part * a_box.zw) / u_screen;
  gl_Position = vec4(spot.x * 2.0 - 1.0, 1.0 - spot.y * 2.0, 0.0, 1.0);
  v_at = (a_look.xy + part * a_box.zw) / u_sheet;
  v_alpha = a_look.z;
}`;

const FRAGMENT = /* glsl */ `
in vec2 v_at;
flat in float v_alpha;
uniform sampler2D u_words;
out vec4 color_out;
void main() {
  color_out = texture(u_words, v_at) * v_alpha;
}`;

const UNIFORMS = ["u_screen", "u_sheet", "u_words"] as const;

export class WordsProgram {
  private readonly program: Program<(typeof UNIFORMS)[number]>;
  private readonly rows: Rows;
  private readonly texture: WebGLTexture;
  private readonly sheet = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D | null;
  private pictures = new Map<string, Picture>();
  private values: number[] = [];
  private ratio = 1;
  /** Where the next picture goes: pictures stand in shelves. */
  private shelf = { x: 0, y: 0, height: 0 };
  /** Rows of the sheet that the GPU does not know yet. */
  private fresh: { from: number; to: number } | null = null;
  private full = false;
  private began = 0;
  private anew = true;

  constructor(private readonly gl: GL) {
    this.program = new Program(gl, VERTEX, FRAGMENT, UNIFORMS);
    this.rows = new Rows(gl, [4, 3], "thing");
    this.texture = gl.createTexture();
    this.sheet.width = SHEET_WIDTH;
    this.sheet.height = SHEET_FIRST_HEIGHT;
    // It is read as often as it is drawn to.
    this.context = this.sheet.getContext("2d", { willReadFrequently: true });
  }

  /** Forgets all pictures: the colors, the fonts or the screen have changed. */
  forget(): void {
    this.pictures.clear();
    this.shelf = { x: 0, y: 0, height: 0 };
    this.anew = true;
    this.full = false;
    this.context?.setTransform(1, 0, 0, 1, 0, 0);
    this.context?.clearRect(0, 0, this.sheet.width, this.sheet.height);
  }

  begin(ratio: number): void {
    if (ratio !== this.ratio || this.full) this.forget();
    this.ratio = ratio;
    this.began = this.pictures.size;
    this.values = [];
  }

  /** There was no room left for something that an emptied sheet has room for. */
  get unsaid(): boolean {
    return this.full && this.began > 0;
  }

  /** The same key must always be the same picture. */
  say(key: string, x: number, y: number, alpha: number, make: () => Words): void {
    const picture = this.pictures.get(key) ?? this.make(key, make());
    if (!picture) return;
    const left = Math.round(x * this.ratio) + picture.left;
    const top = Math.round(y * this.ratio) + picture.top;
    this.values.push(left, top, picture.width, picture.height, picture.u, picture.v, alpha);
  }

  private make(key: string, words: Words): Picture | null {
    const { context, ratio, shelf } = this;
    const left = Math.floor(words.left * ratio);
    const top = Math.floor(words.top * ratio);
    const width = Math.min(SHEET_WIDTH, Math.ceil((words.left + words.width) * ratio) - left);
    const height = Math.ceil((words.top + words.height) * ratio) - top;
    if (shelf.x + width > SHEET_WIDTH) {
      shelf.y += shelf.height;
      shelf.x = 0;
      shelf.height = 0;
    }
    while (shelf.y + height > this.sheet.height && this.grow());
    if (!context || shelf.y + height > this.sheet.height) {
      // The next frame begins with an empty sheet, of which less is wanted.
      this.full = true;
      return null;
    }
    const picture = { left, top, width, height, u: shelf.x, v: shelf.y };
    context.save();
    context.setTransform(ratio, 0, 0, ratio, picture.u - left, picture.v - top);
    context.beginPath();
    context.rect(left / ratio, top / ratio, width / ratio, height / ratio);
    context.clip();
    words.draw(context);
    context.restore();
    this.fresh = {
      from: Math.min(this.fresh?.from ?? picture.v, picture.v),
      to: Math.max(this.fresh?.to ?? 0, picture.v + height),
    };
    shelf.x += width;
    shelf.height = Math.max(shelf.height, height);
    this.pictures.set(key, picture);
    return picture;
  }

  private grow(): boolean {
    const { sheet, context } = this;
    if (!context || sheet.height >= SHEET_HEIGHT_MAX) return false;
    const kept = context.getImageData(0, 0, sheet.width, sheet.height);
    sheet.height *= 2;
    context.putImageData(kept, 0, 0);
    this.anew = true;
    return true;
  }

  draw({ size, ratio }: View): void {
    if (this.values.length === 0) return;
    const { gl } = this;
    const at = this.program.use();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    this.upload();
    this.rows.set(new Float32Array(this.values));
    gl.uniform1i(at.u_words, 0);
    gl.uniform2f(at.u_screen, Math.round(size.width * ratio), Math.round(size.height * ratio));
    gl.uniform2f(at.u_sheet, this.sheet.width, this.sheet.height);
    this.rows.draw();
  }

  private upload(): void {
    const { gl, sheet, context, fresh } = this;
    if (!context || !(fresh || this.anew)) return;
    if (this.anew) {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, sheet.width, sheet.height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      // Pictures stand on whole pixels: nothing lies between.
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    }
    const from = this.anew ? 0 : (fresh?.from ?? 0);
    const to = this.anew ? this.shelf.y + this.shelf.height : (fresh?.to ?? 0);
    this.anew = false;
    this.fresh = null;
    if (to <= from) return;
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
    gl.texSubImage2D(
      gl.TEXTURE_2D,
      0,
      0,
      from,
      gl.RGBA,
      gl.UNSIGNED_BYTE,
      context.getImageData(0, from, sheet.width, to - from),
    );
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  }
}
