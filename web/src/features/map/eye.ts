/** Where one looks from: the camera, its ways from one view to another, and how near and far it may go. */
import { between, type Camera, type Range, type Size, zoomedAt } from "./camera";
import type { Place } from "./layout";

export class Eye {
  camera: Camera = { x: 0, y: 0, scale: 1 };
  range: Range = { min: 0.01, max: 1 };
  private way: { from: Camera; to: Camera; began: number; length: number } | null = null;

  constructor(
    public size: Size,
    private readonly redraw: () => void,
  ) {}

  get moving(): boolean {
    return this.way !== null;
  }

  /** Where it will be when it has arrived. */
  get goal(): Camera {
    return this.way?.to ?? this.camera;
  }

  stop(): void {
    this.way = null;
  }

  look(camera: Camera): void {
    this.way = null;
    this.camera = camera;
    this.redraw();
  }

  glide(to: Camera, length: number): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.look(to);
      return;
    }
    this.way = { from: this.camera, to, began: performance.now(), length };
    this.redraw();
  }

  step(now: number): void {
    const { way } = this;
    if (!way) return;
    const part = Math.min(1, Math.max(0, (now - way.began) / way.length));
    // Where it has arrived it is its goal itself, so that one can tell whether it has been moved since.
    this.camera = part >= 1 ? way.to : between(way.from, way.to, part * (2 - part));
    if (part >= 1) this.way = null;
    // Once more at the end: what was stretched on the way is drawn anew.
    this.redraw();
  }

  beside(dx: number, dy: number): Camera {
    const { x, y, scale } = this.camera;
    return { x: x - dx / scale, y: y + dy / scale, scale };
  }

  zoomAt(spot: Place, factor: number, smooth: boolean): void {
    const to = zoomedAt(smooth ? this.goal : this.camera, this.size, spot, factor, this.range);
    if (smooth) this.glide(to, 120);
    else this.look(to);
  }

  zoom(factor: number): void {
    this.zoomAt({ x: this.size.width / 2, y: this.size.height / 2 }, factor, true);
  }
}
