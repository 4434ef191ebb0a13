/** Where one looks from: the camera, its ways from one view to another, and how near and far it may go. */
import { between, type Camera, type Range, type Size, zoomedAt } from "./camera";
import type { Place } from "./layout";

const RESTLESS_MS = 120;

export class Eye {
  camera: Camera = { x: 0, y: 0, scale: 1 };
  range: Range = { min: 0.01, max: 1 };
  /** Fingers zoom in many small steps: so long after the last one they are done. */
  private restless: { until: number; timer: ReturnType<typeof setTimeout> } | null = null;
  private way: { from: Camera; to: Camera; began: number; length: number } | null = null;

  constructor(
    public size: Size,
    private readonly redraw: () => void,
  ) {}

  /** On a way, or while fingers zoom. */
  get moving(): boolean {
    return this.way !== null || (this.restless !== null && performance.now() < this.restless.until);
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
    else {
      if (this.restless) clearTimeout(this.restless.timer);
      // Once more at the end: what was stretched meanwhile is drawn anew.
      const timer = setTimeout(this.redraw, RESTLESS_MS + 10);
      this.restless = { until: performance.now() + RESTLESS_MS, timer };
      this.look(to);
    }
  }

  kill(): void {
    if (this.restless) clearTimeout(this.restless.timer);
  }

  zoom(factor: number): void {
    this.zoomAt({ x: this.size.width / 2, y: this.size.height / 2 }, factor, true);
  }
}
