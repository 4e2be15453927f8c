import { h } from "../dom";
import { markOfKey } from "../marking";
import { Tile } from "./tile";
import type { Shown, Tools } from "./view";

/** Tiles that the arrow keys roam in; tiles of images that stay are kept as they are. */
export class Tiles {
  readonly root: HTMLElement;
  private tiles = new Map<string, Tile>();
  private sequence: Tile[] = [];

  constructor(
    private readonly tools: Tools,
    private readonly testid: string,
    private readonly className = "cw-tiles",
  ) {
    this.root = h("div", {
      class: this.className,
      role: "group",
      onkeydown: (event: KeyboardEvent) => this.onKey(event),
      onfocusin: (event: FocusEvent) => this.rove(event.target as HTMLElement),
    });
  }

  show(images: Shown[], label: string): void {
    this.root.setAttribute("aria-label", label);
    const next = new Map<string, Tile>();
    const sequence = images.map((image) => {
      const key = `${image.split}/${image.index}`;
      const tile = this.tiles.get(key) ?? this.make(image);
      this.tiles.delete(key);
      tile.update(image);
      next.set(key, tile);
      return tile;
    });
    for (const gone of this.tiles.values()) gone.dispose();
    this.tiles = next;
    const same = sequence.length === this.sequence.length && sequence.every((t, i) => t === this.sequence[i]);
    this.sequence = sequence;
    if (same) return;
    this.root.replaceChildren(...sequence.map((tile) => tile.root));
    this.rove(sequence[0]?.root ?? null);
  }

  dispose(): void {
    for (const tile of this.tiles.values()) tile.dispose();
    this.tiles.clear();
  }

  private make(image: Shown): Tile {
    const open = (tile: Tile) => {
      const images = this.sequence.map((other) => other.image);
      this.tools.open(images, this.sequence.indexOf(tile));
    };
    return new Tile(image, this.tools, open, this.testid);
  }

  private rove(stop: HTMLElement | null): void {
    for (const { root } of this.sequence) root.tabIndex = root === stop ? 0 : -1;
  }

  private columns(): number {
    const top = this.sequence[0]?.root.offsetTop;
    const beyond = this.sequence.findIndex(({ root }) => root.offsetTop !== top);
    return beyond === -1 ? this.sequence.length : beyond;
  }

  private onKey(event: KeyboardEvent): void {
    const at = this.sequence.findIndex(({ root }) => root === event.target);
    if (at === -1) return;
    const image = this.sequence[at]?.image;
    const has = markOfKey(event.key, image);
    if (image && has !== undefined) {
      event.preventDefault();
      void this.tools.actions.mark([image.index], has);
    }
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.columns(),
      ArrowUp: -this.columns(),
      Home: -at,
      End: this.sequence.length - 1 - at,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.sequence[at + step]?.root.focus();
  }
}
