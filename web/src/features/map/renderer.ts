/**
 * Stage 4: pixels. Owns sigma and its graph; knows nothing of React. Invariants: the mapping from map units to the
 * camera's never changes (a fixed box), so nothing moves when something is added; only `setData` changes the graph.
 */
import Graph from "graphology";
import Sigma from "sigma";
import type { NodeDisplayData } from "sigma/types";
import type { MapLink, MapNode } from "#/api/schema";
import { drawingOf } from "#/domain/icons";
import { type EdgeLook, EvidenceEdgeProgram } from "./edge-program";
import type { Group } from "./group";
import { GroupLayer, type GroupWords, pixelsPerUnit } from "./group-layer";
import { drawHover, drawLabel } from "./labels";
import { isHub, type Place, SPACING } from "./layout";
import { isPinned, type MapModel } from "./model";
import { type NodeLook, nodeProgram } from "./node-program";
import { type MapPalette, readPalette } from "./palette";

const HALF = 1000;
const RADIUS = 14;
const HUB_RADIUS = 18;
/** The closest that "fit" goes: a map of three nodes must not fill the screen with three discs. */
const FIT_SCALE_MAX = 1.15;
const DIM = 0.16;

export interface RendererEvents {
  select(id: string | null): void;
  moved(id: string, place: Place): void;
  drawn(): void;
}

type NodeAttributes = { x: number; y: number; size: number; node: MapNode; pinned: boolean };
type EdgeAttributes = { link: MapLink };

export class MapRenderer {
  private graph = new Graph<NodeAttributes, EdgeAttributes>({ multi: true, type: "undirected" });
  private sigma: Sigma<NodeAttributes, EdgeAttributes>;
  private layer: GroupLayer;
  private colors: MapPalette = readPalette();
  private hovered: string | null = null;
  private lit: ReadonlySet<string> | null = null;
  private selected: string | null = null;
  private cursor: string | null = null;
  private matches: ReadonlySet<string> | null = null;
  private dragging: { id: string; moved: boolean } | null = null;
  private observer: ResizeObserver;

  constructor(
    private readonly container: HTMLElement,
    private readonly events: RendererEvents,
    words: GroupWords,
  ) {
    this.layer = new GroupLayer(container, () => this.colors, words);
    const stage = document.createElement("div");
    stage.className = "absolute inset-0";
    container.append(stage);
    this.sigma = new Sigma<NodeAttributes, EdgeAttributes>(this.graph, stage, {
      allowInvalidContainer: true,
      itemSizesReference: "positions",
      zoomToSizeRatioFunction: (ratio) => ratio,
      autoRescale: true,
      stagePadding: 0,
      minCameraRatio: 0.02,
      maxCameraRatio: 60,
      enableCameraRotation: false,
      zIndex: false,
      labelDensity: 50,
      labelGridCellSize: 60,
      labelRenderedSizeThreshold: 7,
      defaultNodeType: "asset",
      defaultEdgeType: "evidence",
      nodeProgramClasses: { asset: nodeProgram(() => this.colors) as never },
      edgeProgramClasses: { evidence: EvidenceEdgeProgram as never },
      nodeReducer: (id, data) => this.lookOf(id, data),
      edgeReducer: (id, data) => this.edgeLookOf(id, data),
      defaultDrawNodeLabel: (context, data) =>
        this.drawNodeLabel(context, data as unknown as NodeLook & { key: string }),
      defaultDrawNodeHover: (context, data) =>
        this.drawNodeHover(context, data as unknown as NodeLook & { key: string }),
    });
    this.layer.raise();
    this.sigma.setCustomBBox({ x: [-HALF, HALF], y: [-HALF, HALF] });
    this.listen();
    this.observer = new ResizeObserver(() => {
      this.sigma.resize();
      this.sigma.refresh({ skipIndexation: true, schedule: true });
    });
    this.observer.observe(container);
  }

  private listen(): void {
    const { sigma } = this;
    sigma.on("beforeRender", () => this.layer.drawUnder(sigma as unknown as Sigma));
    let first = true;
    sigma.on("afterRender", () => {
      this.layer.drawOver(sigma as unknown as Sigma, RADIUS * pixelsPerUnit(sigma as unknown as Sigma));
      if (first && this.graph.order > 0) {
        first = false;
        this.events.drawn();
      }
    });
    sigma.on("enterNode", ({ node }) => this.hover(node));
    sigma.on("leaveNode", () => this.hover(null));
    sigma.on("clickNode", ({ node }) => this.events.select(node));
    sigma.on("clickStage", () => this.events.select(null));
    sigma.on("doubleClickNode", ({ event }) => event.preventSigmaDefault());
    sigma.on("downNode", ({ node, event }) => {
      if (event.original instanceof MouseEvent && event.original.button !== 0) return;
      this.dragging = { id: node, moved: false };
    });
    sigma.on("moveBody", ({ event }) => {
      if (!this.dragging) return;
      const place = sigma.viewportToGraph(event);
      this.dragging.moved = true;
      this.graph.mergeNodeAttributes(this.dragging.id, place);
      event.preventSigmaDefault();
      event.original.preventDefault();
      event.original.stopPropagation();
    });
    const drop = () => {
      const drag = this.dragging;
      this.dragging = null;
      if (!drag?.moved || !this.graph.hasNode(drag.id)) return;
      const { x, y } = this.graph.getNodeAttributes(drag.id);
      this.graph.setNodeAttribute(drag.id, "pinned", true);
      this.events.moved(drag.id, { x, y });
    };
    sigma.on("upNode", drop);
    sigma.on("upStage", drop);
  }

  setData(model: MapModel, places: ReadonlyMap<string, Place>, groups: readonly Group[]): void {
    const { graph } = this;
    for (const id of graph.nodes()) if (!model.nodes.has(id)) graph.dropNode(id);
    for (const id of graph.edges()) if (!model.links.has(id)) graph.dropEdge(id);
    for (const node of model.nodes.values()) {
      const place = places.get(node.id);
      if (!place) continue;
      const size = isHub(node.role) ? HUB_RADIUS : RADIUS;
      const pinned = isPinned(node);
      if (!graph.hasNode(node.id)) graph.addNode(node.id, { ...place, size, node, pinned });
      else if (this.dragging?.id === node.id) graph.mergeNodeAttributes(node.id, { size, node });
      else {
        const old = graph.getNodeAttributes(node.id);
        if (old.node !== node || old.x !== place.x || old.y !== place.y || old.pinned !== pinned) {
          graph.mergeNodeAttributes(node.id, { ...place, size, node, pinned });
        }
      }
    }
    for (const link of model.links.values()) {
      if (graph.hasEdge(link.id)) {
        if (graph.getEdgeAttribute(link.id, "link") !== link) graph.setEdgeAttribute(link.id, "link", link);
      } else if (graph.hasNode(link.a) && graph.hasNode(link.b))
        graph.addEdgeWithKey(link.id, link.a, link.b, { link });
    }
    this.layer.setGroups(groups, places);
    this.sigma.scheduleRefresh();
  }

  private lookOf(id: string, { x, y, size, node, pinned }: NodeAttributes): Partial<NodeDisplayData> {
    const dimmed = (this.lit && !this.lit.has(id)) || (this.matches && !this.matches.has(id));
    const look: Omit<NodeLook, "hidden" | "zIndex" | "type"> = {
      x,
      y,
      size,
      label: node.name,
      color: this.colors.status[node.status],
      highlighted: false,
      forceLabel: id === this.selected || id === this.cursor,
      icon: drawingOf(node.kind, node.role).index,
      status: node.status,
      pinned,
      mark: id === this.selected || id === this.cursor ? 1 : 0,
      alpha: dimmed ? DIM : 1,
    };
    return look;
  }

  private edgeLookOf(id: string, { link }: EdgeAttributes): Partial<EdgeLook> {
    const focus = this.hovered ?? this.selected;
    const touched = !!focus && (link.a === focus || link.b === focus);
    const dimmed =
      (this.lit && !touched) || (this.matches && !(this.matches.has(link.a) && this.matches.has(link.b)));
    return {
      label: id,
      color: touched ? this.colors.linkStrong : this.colors.link,
      evidence: link.evidence,
      strong: touched,
      alpha: dimmed ? DIM * 0.8 : 1,
    };
  }

  private drawNodeLabel(context: CanvasRenderingContext2D, data: NodeLook & { key: string }): void {
    const node = this.graph.hasNode(data.key) ? this.graph.getNodeAttribute(data.key, "node") : null;
    if (node)
      drawLabel(
        context,
        node,
        data.x,
        data.y,
        { own: data.size, plain: (data.size * RADIUS) / (isHub(node.role) ? HUB_RADIUS : RADIUS) },
        this.colors,
        data.alpha,
      );
  }

  private drawNodeHover(context: CanvasRenderingContext2D, data: NodeLook & { key: string }): void {
    const node = this.graph.hasNode(data.key) ? this.graph.getNodeAttribute(data.key, "node") : null;
    if (node) drawHover(context, node, data.x, data.y, data.size, this.colors);
  }

  private hover(id: string | null): void {
    if (this.dragging) return;
    this.hovered = id;
    this.lit = id && this.graph.hasNode(id) ? new Set([id, ...this.graph.neighbors(id)]) : null;
    this.container.style.cursor = id ? "pointer" : "";
    this.redraw();
  }

  private redraw(): void {
    this.sigma.refresh({ skipIndexation: true, schedule: true });
  }

  setSelected(id: string | null): void {
    this.selected = id;
    this.redraw();
  }

  setCursor(id: string | null): void {
    this.cursor = id;
    this.redraw();
  }

  /** Nodes that a search found; null when nothing is searched for. */
  setMatches(ids: ReadonlySet<string> | null): void {
    this.matches = ids;
    this.redraw();
  }

  setGroupsShown(shown: boolean): void {
    this.layer.shown = shown;
    this.redraw();
  }

  refreshColors(): void {
    this.colors = readPalette();
    this.redraw();
  }

  neighbors(id: string): ReadonlySet<string> {
    return new Set(this.graph.hasNode(id) ? this.graph.neighbors(id) : []);
  }

  /** Where a node is on the page, for tests and for assistive hints. */
  screenOf(id: string): Place | null {
    if (!this.graph.hasNode(id)) return null;
    const { x, y } = this.sigma.graphToViewport(this.graph.getNodeAttributes(id));
    const box = this.container.getBoundingClientRect();
    return { x: box.left + x, y: box.top + y };
  }

  /** Shows everything, or the given nodes. */
  fit(ids?: ReadonlySet<string>, animate = true): void {
    let [left, right, bottom, top] = [
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ];
    this.graph.forEachNode((id, { x, y }) => {
      if (ids && !ids.has(id)) return;
      left = Math.min(left, x);
      right = Math.max(right, x);
      bottom = Math.min(bottom, y);
      top = Math.max(top, y);
    });
    if (left > right) return;
    const { clientWidth: width, clientHeight: height } = this.container;
    if (width === 0 || height === 0) return;
    const scale = Math.min(
      width / (right - left + SPACING * 2.2),
      height / (top - bottom + SPACING * 2.6),
      FIT_SCALE_MAX,
    );
    this.moveCamera((left + right) / 2, (bottom + top) / 2, scale, animate);
  }

  focusOn(id: string): void {
    if (!this.graph.hasNode(id)) return;
    const { x, y } = this.graph.getNodeAttributes(id);
    this.moveCamera(x, y, Math.max(pixelsPerUnit(this.sigma as unknown as Sigma), 0.9), true);
  }

  zoom(factor: number): void {
    const camera = this.sigma.getCamera();
    void camera.animate(
      { ratio: camera.getBoundedRatio(camera.ratio / factor) },
      { duration: still() ? 0 : 120 },
    );
  }

  private moveCamera(x: number, y: number, pixels: number, animate: boolean): void {
    const { clientWidth: width, clientHeight: height } = this.container;
    const state = {
      x: 0.5 + x / (2 * HALF),
      y: 0.5 + y / (2 * HALF),
      ratio: Math.min(width, height) / (2 * HALF) / pixels,
      angle: 0,
    };
    if (animate && !still()) void this.sigma.getCamera().animate(state, { duration: 150 });
    else this.sigma.getCamera().setState(state);
  }

  kill(): void {
    this.observer.disconnect();
    this.sigma.kill();
    this.layer.remove();
    this.container.replaceChildren();
  }
}

function still(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
