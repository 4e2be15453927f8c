import { h, setChildren } from "../dom";
import { markOfKey } from "../marking";
import { Tile } from "./tile";
import type { Listing, Tools } from "./view";

const GAP = 4;
/** Rows of tiles that are made beyond what is in sight, above and below. */
const MARGIN = 2;
/** So long after the last jump, scrolling rests. */
const REST_MS = 80;
/** A narrow frame has smaller tiles, so that there are some beside each other. */
const NARROW = { frame: 240, tile: 52 };
const TILE = 68;

const NOTHING: Listing = {
  rows: new Int32Array(0),
  image: () => {
    throw new RangeError();
  },
};

/** What can be selected: the rows of the validation split. */
export interface Selection {
  readonly rows: ReadonlySet<number>;
  replace(rows: Iterable<number>): void;
}

/** A frame that scrolls over any number of images; only those near sight have tiles. The keys roam in all. */
export class Tiles {
  readonly root: HTMLElement;
  private readonly space = h("div", { class: "cw-space", role: "presentation" });
  private readonly sizes = new ResizeObserver(() => {
    this.readSizes();
    this.measure();
  });
  private listing = NOTHING;
  /** Those that exist, by row. */
  private tiles = new Map<number, Tile>();
  /** Of the frame, and how far it is scrolled: to read them makes the browser lay out all that has changed. */
  private width = 0;
  private height = 0;
  private top = 0;
  private columns = 1;
  private side = TILE;
  /** Of what flies past nobody sees anything: pictures wait until scrolling rests. */
  private resting: ReturnType<typeof setTimeout> | 0 = 0;
  /** The row of the one stop for the Tab key. */
  private stop = -1;
  private hovered: Tile | null = null;
  /** Where a range begins, and what it added last. */
  private anchor = -1;
  private added: number[] = [];

  constructor(
    private readonly tools: Tools,
    private readonly testid: string,
    private readonly selection: Selection | null = null,
    private readonly tile = TILE,
  ) {
    this.root = h(
      "div",
      {
        class: "cw-tiles",
        role: "listbox",
        "aria-multiselectable": selection ? "true" : null,
        onscroll: () => this.onScroll(),
        onclick: (event: MouseEvent) => this.onClick(event),
        onkeydown: (event: KeyboardEvent) => this.onKey(event),
        onfocusin: (event: FocusEvent) => this.onFocus(event),
        onfocusout: () => tools.tip(null),
        onpointerover: (event: PointerEvent) => this.onPointer(event),
        onpointerleave: () => this.hover(null),
      },
      this.space,
    );
    this.sizes.observe(this.root);
  }

  /** `again` keeps the place that was scrolled to. */
  show(listing: Listing, label: string, again = false): void {
    const place = again ? Math.max(0, this.listing.rows.indexOf(this.stop)) : 0;
    this.listing = listing;
    this.root.setAttribute("aria-label", label);
    this.root.hidden = listing.rows.length === 0;
    if (!again && this.top > 0) this.root.scrollTop = this.top = 0;
    if (this.width === 0) this.readSizes();
    const { rows } = listing;
    if (!again || !rows.includes(this.stop)) this.stop = rows[Math.min(place, rows.length - 1)] ?? -1;
    this.measure();
  }

  /** Marks the selected tiles. */
  select(): void {
    for (const [row, tile] of this.tiles) tile.select(this.selection?.rows.has(row) ?? false);
  }

  dispose(): void {
    this.sizes.disconnect();
    clearTimeout(this.resting);
    this.hover(null);
    for (const tile of this.tiles.values()) tile.dispose();
  }

  private get pitch(): number {
    return this.side + GAP;
  }

  private readSizes(): void {
    this.width = this.root.clientWidth;
    this.height = this.root.clientHeight;
    this.top = this.root.scrollTop;
  }

  private measure(): void {
    const { width } = this;
    const least = width < NARROW.frame ? NARROW.tile : this.tile;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.side = Math.max(least, Math.floor((width + GAP) / this.columns) - GAP);
    const lines = Math.ceil(this.listing.rows.length / this.columns);
    const height = `${Math.max(0, lines * this.pitch - GAP)}px`;
    this.space.style.height = height;
    this.root.style.maxHeight = height;
    this.root.style.setProperty("--cw-side", `${this.side}px`);
    this.draw();
  }

  /** Makes the tiles that are near sight, in order, and lets go of the others. */
  private draw(): void {
    const { rows } = this.listing;
    const first = Math.floor(this.top / this.pitch);
    const last = Math.floor((this.top + this.height) / this.pitch);
    const from = Math.max(0, (first - MARGIN) * this.columns);
    const to = Math.min(rows.length, (last + 1 + MARGIN) * this.columns);
    const places: number[] = [];
    for (let at = from; at < to; at++) places.push(at);
    const stop = rows.indexOf(this.stop);
    if (stop >= 0 && stop < from) places.unshift(stop);
    if (stop >= to) places.push(stop);

    const focused = (this.root.getRootNode() as Document | ShadowRoot).activeElement;
    const old = this.tiles;
    this.tiles = new Map(places.map((at) => [rows[at] as number, this.tileAt(at, old)]));
    for (const [row, tile] of old) if (this.tiles.get(row) !== tile) this.drop(tile);
    for (const at of places) {
      const tile = this.tiles.get(rows[at] as number) as Tile;
      const line = Math.floor(at / this.columns);
      tile.place(at, rows.length, (at % this.columns) * this.pitch, line * this.pitch);
      if (!this.resting) tile.load(line >= first && line <= last);
      tile.root.tabIndex = at === stop ? 0 : -1;
    }
    setChildren(
      this.space,
      [...this.tiles.values()].map((tile) => tile.root),
    );
    // Moving an element takes the focus from it.
    if (this.space.contains(focused)) (focused as HTMLElement).focus({ preventScroll: true });
  }

  private tileAt(at: number, old: Map<number, Tile>): Tile {
    const image = this.listing.image(at);
    const known = old.get(image.index);
    const tile =
      known?.image.split === image.split
        ? known
        : new Tile(image, this.tools.thumbnails, this.testid, this.selection !== null);
    tile.update(image);
    tile.select(this.selection?.rows.has(image.index) ?? false);
    return tile;
  }

  private drop(tile: Tile): void {
    if (tile === this.hovered) this.hover(null);
    tile.dispose();
  }

  private tileOf(target: EventTarget | null): Tile | undefined {
    const element = (target as Element | null)?.closest<HTMLElement>(".cw-tile");
    return element ? this.tiles.get(Number(element.dataset.index)) : undefined;
  }

  private onScroll(): void {
    const { scrollTop } = this.root;
    clearTimeout(this.resting);
    const far = Math.abs(scrollTop - this.top) > this.height;
    this.resting = far ? setTimeout(() => this.onScroll(), REST_MS) : 0;
    this.top = scrollTop;
    this.hover(null);
    this.draw();
  }

  private onPointer(event: PointerEvent): void {
    const tile = this.tileOf(event.target) ?? null;
    if (tile !== this.hovered) this.hover(tile);
  }

  private hover(tile: Tile | null): void {
    if (tile) this.tools.tip(tile.root, tile.lines, { ...tile.picture, hovered: true });
    else if (this.hovered) this.tools.tip(null);
    this.hovered = tile;
  }

  private onFocus(event: FocusEvent): void {
    const tile = this.tileOf(event.target);
    if (!tile) return;
    this.stop = tile.image.index;
    for (const other of this.tiles.values()) other.root.tabIndex = other === tile ? 0 : -1;
    this.tools.tip(tile.root, tile.lines, { ...tile.picture, hovered: false });
  }

  private onClick(event: MouseEvent): void {
    const tile = this.tileOf(event.target);
    if (!tile) return;
    const { index } = tile.image;
    const at = this.listing.rows.indexOf(index);
    tile.root.focus({ preventScroll: true });
    if (this.selection && event.shiftKey) this.extend(at);
    else if (this.selection && (event.ctrlKey || event.metaKey || Tile.isCheck(event.target))) {
      this.toggle(index);
    } else this.open(at);
  }

  private open(at: number): void {
    this.tools.tip(null);
    this.tools.open(this.listing, at, (last) => this.go(last));
  }

  private onKey(event: KeyboardEvent): void {
    const tile = this.tileOf(event.target);
    if (!tile) return;
    const at = this.listing.rows.indexOf(tile.image.index);
    const act = this.actOf(event, at, tile) ?? this.moveOf(event, at);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  private actOf(event: KeyboardEvent, at: number, tile: Tile): (() => void) | undefined {
    const { selection } = this;
    const { index } = tile.image;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      return selection && key === "a"
        ? () => selection.replace([...selection.rows, ...this.listing.rows])
        : undefined;
    }
    const has = markOfKey(event.key, tile.image);
    if (has !== undefined) return () => void this.tools.actions.mark([index], has);
    if (key === "enter") return () => this.open(at);
    if (key === "z") return () => this.tools.zoom(tile.root, tile.lines, tile.picture);
    if (!selection) return;
    if (key === "x" || key === " ") return () => this.toggle(index);
    if (key === "escape" && selection.rows.size) return () => selection.replace([]);
    return;
  }

  private moveOf(event: KeyboardEvent, at: number): (() => void) | undefined {
    const page = this.columns * Math.max(1, Math.floor(this.height / this.pitch));
    const last = this.listing.rows.length - 1;
    const targets: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + this.columns,
      ArrowUp: at - this.columns,
      PageDown: Math.min(last, at + page),
      PageUp: Math.max(0, at - page),
      Home: 0,
      End: last,
    };
    const to = targets[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    return () => {
      if (to < 0 || to > last) return;
      if (this.selection && event.shiftKey) this.extend(to, at);
      this.go(to);
    };
  }

  /** Brings an image into sight and into focus. */
  private go(at: number): void {
    const row = this.listing.rows[at];
    if (row === undefined) return;
    this.stop = row;
    const top = Math.floor(at / this.columns) * this.pitch;
    const lowest = top + this.side - this.height;
    if (top < this.top) this.root.scrollTop = top;
    else if (lowest > this.top) this.root.scrollTop = lowest;
    this.top = this.root.scrollTop;
    this.draw();
    const target = this.tiles.get(row)?.root;
    target?.focus({ preventScroll: true });
    target?.scrollIntoView({ block: "nearest" }); // the frame itself may be out of sight
  }

  private toggle(row: number): void {
    const rows = new Set(this.selection?.rows);
    if (!rows.delete(row)) rows.add(row);
    this.anchor = row;
    this.added = [];
    this.selection?.replace(rows);
  }

  /** Selects from the anchor to `at`; without an anchor, from `from`. */
  private extend(at: number, from = at): void {
    const { rows } = this.listing;
    let begin = rows.indexOf(this.anchor);
    if (begin < 0) {
      begin = from;
      this.anchor = rows[from] as number;
      this.added = [];
    }
    const others = new Set(this.selection?.rows);
    for (const row of this.added) others.delete(row);
    const range = [...rows.subarray(Math.min(begin, at), Math.max(begin, at) + 1)];
    this.added = range.filter((row) => !others.has(row));
    this.selection?.replace([...others, ...this.added]);
  }
}
