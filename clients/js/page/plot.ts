/** Owns the plot of one answer on a canvas: the lead over time, and marks of events. Times are performance.now(). */

const WINDOW_MS = 14_000;
const SCALES_MS = [250, 500, 750, 1000, 2000, 4000, 8000, 16_000, 32_000];
const PADDING = { left: 54, right: 12, top: 16, bottom: 24 };
/** The most items of each kind to keep: more than one window can show. */
const ITEMS_MAX = 4000;

interface Point {
  atMs: number;
  leadMs: number;
}

interface Span {
  fromMs: number;
  toMs: number | null;
}

interface Mark {
  atMs: number;
  label: string;
}

type Colours = Record<"ink" | "line" | "lead" | "wash" | "frame" | "ttfa" | "dry" | "away", string>;

/** The newest 14 s of an answer. `draw` is called for each animation frame; the other methods add what happened. */
export class Plot {
  readonly #canvas: HTMLCanvasElement;
  #points: Point[] = [];
  #frames: number[] = [];
  #marks: Mark[] = [];
  #dry: Span[] = [];
  #away: Span[] = [];
  #beganMs = 0;
  #drawnMs = 0;
  #colours: Colours;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#colours = readColours();
    new ResizeObserver(() => this.draw(this.#drawnMs)).observe(canvas);
  }

  /** Starts the plot of a new answer. */
  begin(nowMs: number): void {
    this.#points = [];
    this.#frames = [];
    this.#marks = [];
    this.#dry = [];
    this.#away = [];
    this.#beganMs = this.#drawnMs = nowMs;
  }

  /** Draws again after the style sheet's colours have changed. */
  recolour(): void {
    this.#colours = readColours();
    this.draw(this.#drawnMs);
  }

  lead(nowMs: number, leadMs: number): void {
    push(this.#points, { atMs: nowMs, leadMs });
  }

  frame(nowMs: number): void {
    push(this.#frames, nowMs);
  }

  mark(nowMs: number, label: string): void {
    push(this.#marks, { atMs: nowMs, label });
  }

  /** Playback runs dry (true), or has audio again (false). */
  dry(nowMs: number, is: boolean): void {
    span(this.#dry, nowMs, is);
  }

  /** The connection is interrupted (true), or back (false). */
  away(nowMs: number, is: boolean): void {
    span(this.#away, nowMs, is);
  }

  /** The answer is over. */
  end(nowMs: number): void {
    this.dry(nowMs, false);
  }

  /** Draws the plot as of `nowMs`. */
  draw(nowMs: number): void {
    this.#drawnMs = nowMs;
    const context = this.#fitted();
    if (context === null) return;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const endMs = Math.max(nowMs - this.#beganMs, WINDOW_MS);
    const scaleMs = this.#scale(endMs - WINDOW_MS);
    const x = (atMs: number): number =>
      PADDING.left + ((atMs - this.#beganMs - (endMs - WINDOW_MS)) / WINDOW_MS) * (width - PADDING.left - PADDING.right);
    const y = (leadMs: number): number =>
      height - PADDING.bottom - (Math.min(leadMs, scaleMs) / scaleMs) * (height - PADDING.top - PADDING.bottom);
    context.clearRect(0, 0, width, height);
    this.#grid(context, width, x, y, scaleMs, endMs);
    context.save();
    context.beginPath();
    context.rect(PADDING.left, 0, width - PADDING.left - PADDING.right, height);
    context.clip();
    for (const away of this.#away) band(context, x, away, nowMs, PADDING.top, height - PADDING.bottom, this.#colours.away);
    this.#leadLine(context, x, y);
    for (const dry of this.#dry) band(context, x, dry, nowMs, y(0) - 7, y(0), this.#colours.dry);
    this.#arrivals(context, x, height);
    this.#labels(context, x, height);
    context.restore();
  }

  #fitted(): CanvasRenderingContext2D | null {
    const { clientWidth, clientHeight } = this.#canvas;
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (width === 0 || height === 0) return null;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const context = this.#canvas.getContext("2d");
    context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  #scale(fromMs: number): number {
    let highest = 0;
    for (const point of this.#points) if (point.atMs - this.#beganMs >= fromMs) highest = Math.max(highest, point.leadMs);
    return SCALES_MS.find((each) => each >= highest * 1.05) ?? SCALES_MS.at(-1)!;
  }

  #grid(
    context: CanvasRenderingContext2D, width: number, x: (atMs: number) => number, y: (leadMs: number) => number,
    scaleMs: number, endMs: number,
  ): void {
    context.font = "11px system-ui, sans-serif";
    context.lineWidth = 1;
    context.strokeStyle = this.#colours.line;
    context.fillStyle = this.#colours.ink;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const leadMs of [0, scaleMs / 2, scaleMs]) {
      const at = Math.round(y(leadMs)) + 0.5;
      stroke(context, PADDING.left, at, width - PADDING.right, at);
      context.fillText(leadMs >= 1000 ? `${leadMs / 1000} s` : `${leadMs} ms`, PADDING.left - 7, at);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    const firstSecond = Math.ceil((endMs - WINDOW_MS) / 2000) * 2;
    for (let second = firstSecond; second * 1000 <= endMs; second += 2) {
      const at = x(this.#beganMs + second * 1000);
      if (at < width - PADDING.right - 6) context.fillText(`${second} s`, at, y(0) + 16);
    }
  }

  #leadLine(context: CanvasRenderingContext2D, x: (atMs: number) => number, y: (leadMs: number) => number): void {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (first === undefined || last === undefined) return;
    context.beginPath();
    context.moveTo(x(first.atMs), y(0));
    for (const point of this.#points) context.lineTo(x(point.atMs), y(point.leadMs));
    context.lineTo(x(last.atMs), y(0));
    context.fillStyle = this.#colours.wash;
    context.fill();
    context.beginPath();
    for (const point of this.#points) context.lineTo(x(point.atMs), y(point.leadMs));
    context.strokeStyle = this.#colours.lead;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.stroke();
  }

  #arrivals(context: CanvasRenderingContext2D, x: (atMs: number) => number, height: number): void {
    context.strokeStyle = this.#colours.frame;
    context.lineWidth = 1;
    context.globalAlpha = 0.55;
    for (const atMs of this.#frames) stroke(context, x(atMs), height - PADDING.bottom + 1, x(atMs), height - PADDING.bottom + 5);
    context.globalAlpha = 1;
  }

  #labels(context: CanvasRenderingContext2D, x: (atMs: number) => number, height: number): void {
    context.strokeStyle = context.fillStyle = this.#colours.ttfa;
    context.lineWidth = 1.5;
    context.textAlign = "left";
    for (const mark of this.#marks) {
      stroke(context, x(mark.atMs), PADDING.top - 6, x(mark.atMs), height - PADDING.bottom);
      context.fillText(mark.label, x(mark.atMs) + 5, PADDING.top - 3);
    }
  }
}

function band(
  context: CanvasRenderingContext2D, x: (atMs: number) => number, where: Span, nowMs: number, top: number, bottom: number, colour: string,
): void {
  const left = x(where.fromMs);
  context.fillStyle = colour;
  context.fillRect(left, top, Math.max(3, x(where.toMs ?? nowMs) - left), bottom - top);
}

function stroke(context: CanvasRenderingContext2D, fromX: number, fromY: number, toX: number, toY: number): void {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
}

function span(spans: Span[], nowMs: number, is: boolean): void {
  const last = spans.at(-1);
  const open = last !== undefined && last.toMs === null;
  if (is && !open) push(spans, { fromMs: nowMs, toMs: null });
  if (!is && open) last.toMs = nowMs;
}

function push<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > ITEMS_MAX) list.splice(0, ITEMS_MAX / 4);
}

function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: read("soft"), line: read("line"), lead: read("accent"), wash: read("accent-wash"), frame: read("edge"),
    ttfa: read("mark"), dry: read("stop"), away: read("away"),
  };
}
