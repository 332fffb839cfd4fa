/**
 * From tables to memory: a layer is a list of parts, each one descriptor for the kernels (a plain
 * product is one part; groups and the phases of a transposed convolution are several). The constants
 * of all parts make one relocatable block that is written once; a call then passes only addresses.
 */

import { ArgumentError } from "../../errors.ts";
import type { RowsName } from "../qdepthwise/list.ts";
import * as at from "./layout.ts";
import type { Variant } from "./list.ts";
import type { Output, PackedPost } from "./post.ts";
import type { PackedWeights, Panels } from "./pack.ts";

/** Where rows of a sliding depthwise kernel lie, in bytes. */
export interface RowGeometry {
  readonly images: number;
  readonly h: number;
  readonly w: number;
  readonly xFirst: number;
  readonly xImage: number;
  readonly xRow: number;
  readonly xPixel: number;
  readonly yFirst: number;
  readonly yImage: number;
  readonly yRow: number;
  readonly yPixel: number;
}

/** Which kernels compute a part: products of pixels and panels, or depthwise ones by taps or by rows. */
export type Form =
  | { readonly kind: "product" }
  | { readonly kind: "taps" }
  | { readonly kind: "rows"; readonly kernel: RowsName; readonly geometry: RowGeometry };

/** How often a part's tables are used: for groups of images that lie the same way, one behind the other. */
export interface Repeat {
  readonly groups: number;
  /** Bytes of x and of y from a group to the next. */
  readonly xStride: number;
  readonly yStride: number;
}

export const ONCE: Repeat = { groups: 1, xStride: 0, yStride: 0 };

/** One descriptor's worth of tables. Offsets are bytes from the x and y given to a call. */
export interface Part {
  readonly form: Form;
  readonly repeat: Repeat;
  /** Input offset of every output pixel (of one group). */
  readonly pixIn: Int32Array;
  /** Output offset of every output pixel, bytes. */
  readonly pixOut: Int32Array;
  /** Offset of every run of K from its pixel. */
  readonly runs: Int32Array;
  /** Bytes of a run, a multiple of 4. */
  readonly runBytes: number;
  readonly weights: PackedWeights;
  readonly post: PackedPost;
  readonly output: Output;
  /** Of a sum: byte offset of every output pixel (of one group) in the other operand, from a group to the next, and of the first channel. */
  readonly other: { readonly pixels: Int32Array; readonly stride: number; readonly offset: number } | null;
  readonly flip: 0 | 0x80;
  /** Added to x and y of a call: the group's first channel. */
  readonly xOffset: number;
  readonly yOffset: number;
}

/** A part whose constants are in memory. */
export interface PlacedPart {
  readonly form: Form;
  readonly descriptor: number;
  readonly variant: Variant;
  readonly pixels: number;
  readonly tiles: number;
  readonly panels: number;
  /** Whether the output is made from the accumulators of tiles, which the vector form does not have. */
  readonly tiled: boolean;
  readonly xOffset: number;
  readonly yOffset: number;
  /** Scratch memory of the first thread; every thread has `scratchBytes` of its own, one behind the other. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

const ALIGN = 16;
/** Input bytes a block of tiles may touch before the next panel of weights is taken: what L1 holds. */
const BLOCK_BYTES = 32768;
/** Most tiles of a block. */
const MAX_BLOCK = 16;

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

/** Table entries padded to whole tiles by repeating the last pixel, which is then computed again. */
function paddedTable(table: Int32Array): Int32Array {
  if (table.length % at.MR === 0) return table;
  const padded = new Int32Array(Math.ceil(table.length / at.MR) * at.MR).fill(table.at(-1) ?? 0);
  padded.set(table);
  return padded;
}

function tileBlock({ runBytes, runs, weights }: Part): number {
  const row = runBytes * runs.length * (weights.wide === null ? 1 : 2);
  return Math.max(1, Math.min(MAX_BLOCK, Math.floor(BLOCK_BYTES / (at.MR * Math.max(1, row)))));
}

/** Pixels of one block of tiles. */
function blockPixels(part: Part): number {
  return Math.min(tileBlock(part), Math.ceil(part.pixIn.length / at.MR)) * at.MR;
}

/** Whether every panel's bytes are made in the tile itself, see tile.as.ts. */
function finishesInTile({ output, post, weights }: Part): boolean {
  return output.kind === "bytes" && post.bounded && !post.wideBias && weights.sums.length % at.NR === 0;
}

/** Bytes of the accumulators of one block of tiles and one panel, where shared/product-finish.as.ts makes the output. */
function accumulatorBytes(part: Part): number {
  if (part.form.kind !== "product" || finishesInTile(part)) return 0;
  return blockPixels(part) * at.NR * Int32Array.BYTES_PER_ELEMENT;
}

/** Those, and in plain SIMD the i16 rows of one block of tiles. */
function scratchBytes(part: Part): number {
  if (part.form.kind !== "product" || part.pixIn.length === 0) return 0;
  const bytes = blockPixels(part) * part.runBytes * part.runs.length * Int16Array.BYTES_PER_ELEMENT;
  return accumulatorBytes(part) + (part.weights.wide === null ? 0 : aligned(bytes));
}

/** Largest byte. */
const BYTE_MAX = 255;

/** Whether bytes need more than the saturation of a conversion. */
function hasLimits({ output, flip }: Part): boolean {
  return output.kind === "bytes" && (output.low !== 0 || output.high !== BYTE_MAX || flip !== 0);
}

/** Collects byte blocks, each kept once however many parts use it. */
class Blocks {
  readonly #places = new Map<object, number>();
  readonly #list: [number, Uint8Array][] = [];
  bytes = 0;

  add(key: object, make: () => Uint8Array): number {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const block = make();
    const place = this.bytes;
    this.#places.set(key, place);
    this.#list.push([place, block]);
    this.bytes += aligned(block.length);
    return place;
  }

  copyTo(memory: Uint8Array, base: number): void {
    for (const [place, block] of this.#list) memory.set(block, base + place);
  }
}

function bytesOf(table: Int32Array): Uint8Array {
  return new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
}

/** All constants of a layer, relocatable, and the scratch memory its kernels write. */
export class PartBlock {
  readonly #parts: readonly Part[];
  readonly #blocks = new Blocks();
  readonly #places: {
    pixIn: number;
    pixOut: number;
    runs: number;
    narrow: number;
    wide: number;
    post: number;
    other: number;
    sum: number;
  }[];

  readonly #scratchBytes: number;
  readonly #threads: number;

  /** `threads` is how many may compute the layer at a time. */
  constructor(parts: readonly Part[], threads: number = 1) {
    this.#parts = parts;
    this.#threads = threads;
    this.#scratchBytes = Math.max(0, ...parts.map(scratchBytes));
    this.#places = parts.map((part) => {
      if (part.pixIn.length !== part.pixOut.length) {
        throw new ArgumentError(
          "PartBlock",
          { pixIn: part.pixIn.length, pixOut: part.pixOut.length },
          "both pixel tables must have one entry a pixel",
        );
      }
      const table = (key: Int32Array): number => this.#blocks.add(key, () => bytesOf(paddedTable(key)));
      return {
        pixIn: table(part.pixIn),
        pixOut: table(part.pixOut),
        runs: this.#blocks.add(part.runs, () => bytesOf(part.runs)),
        narrow: this.#panels(part.weights.narrow),
        wide: this.#panels(part.weights.wide),
        post: this.#blocks.add(part.post, () => part.post.bytes),
        other: part.other ? table(part.other.pixels) : 0,
        sum: part.post.sum ? this.#blocks.add(part.post.sum, () => part.post.sum!.bytes) : 0,
      };
    });
  }

  /** Place of some panels; 0 for none, which no kernel reads. */
  #panels(panels: Panels | null): number {
    return panels === null ? 0 : this.#blocks.add(panels.bytes, () => panels.bytes);
  }

  /** Bytes that `write` needs. */
  get bytes(): number {
    return this.#parts.length * at.DESCRIPTOR_BYTES + this.#blocks.bytes + this.#threads * this.#scratchBytes;
  }

  /** Writes everything at `base` (16-byte aligned) of `memory`, a view of the whole engine memory; `other` is the address of a sum's other operand. */
  write(memory: Uint8Array, base: number, other: number = 0): PlacedPart[] {
    const view = new DataView(memory.buffer, memory.byteOffset);
    const start = base + this.#parts.length * at.DESCRIPTOR_BYTES;
    this.#blocks.copyTo(memory, start);
    return this.#parts.map((part, index) => {
      const descriptor = base + index * at.DESCRIPTOR_BYTES;
      const place = this.#places[index];
      if (place === undefined) throw new ArgumentError("PartBlock", { index }, "a part has no place");
      const set = (field: number, value: number): void => view.setInt32(descriptor + field, value, true);
      set(at.PIX_IN, start + place.pixIn);
      set(at.PIX_OUT, start + place.pixOut);
      set(at.PIXELS, part.pixIn.length);
      set(at.RUNS, start + place.runs);
      set(at.RUN_COUNT, part.runs.length);
      set(at.RUN_BYTES, part.runBytes);
      set(at.WEIGHTS, start + place.narrow);
      set(at.PANEL_BYTES, part.weights.narrow?.panelBytes ?? 0);
      set(at.WIDE_WEIGHTS, start + place.wide);
      set(at.WIDE_PANEL_BYTES, part.weights.wide?.panelBytes ?? 0);
      set(at.CHANNELS, part.weights.sums.length);
      set(at.POST, start + place.post);
      set(at.FLIP, part.flip * 0x01010101);
      set(at.TILE_BLOCK, tileBlock(part));
      const tiles = Math.ceil(part.pixIn.length / at.MR);
      set(at.GROUP_TILES, Math.max(1, tiles));
      set(at.GROUP_X, part.repeat.xStride);
      set(at.GROUP_Y, part.repeat.yStride);
      set(at.ACC_BYTES, accumulatorBytes(part));
      set(at.OTHER, other + (part.other?.offset ?? 0));
      set(at.PIX_OTHER, start + place.other);
      set(at.GROUP_OTHER, part.other?.stride ?? 0);
      set(at.SUM, start + place.sum);
      set(at.BOUNDED, part.post.bounded ? 1 : 0);
      set(at.HAS_BIAS, part.post.hasBias ? 1 : 0);
      set(at.WIDE_BIAS, part.post.wideBias ? 1 : 0);
      set(at.HAS_LIMITS, hasLimits(part) ? 1 : 0);
      writeOutput(view, descriptor, part.output);
      return {
        form: part.form,
        descriptor,
        variant: part.weights.variant,
        pixels: part.pixIn.length * part.repeat.groups,
        tiles: tiles * part.repeat.groups,
        panels: Math.ceil(part.weights.sums.length / at.NR),
        tiled: part.output.kind === "sum",
        xOffset: part.xOffset,
        yOffset: part.yOffset,
        scratch: start + this.#blocks.bytes,
        scratchBytes: this.#scratchBytes,
      };
    });
  }
}

function writeOutput(view: DataView, descriptor: number, output: Output): void {
  const forms = {
    bytes: at.OUT_BYTES,
    i32: at.OUT_I32,
    f32: at.OUT_F32,
    f32Twice: at.OUT_F32_TWICE,
    sum: at.OUT_SUM,
  };
  view.setInt32(descriptor + at.OUT, forms[output.kind], true);
  if (output.kind !== "bytes") return;
  view.setFloat32(descriptor + at.LOW, output.low - output.zeroPoint, true);
  view.setFloat32(descriptor + at.HIGH, output.high - output.zeroPoint, true);
  view.setInt32(descriptor + at.ZERO_POINT, output.zeroPoint, true);
  view.setInt32(descriptor + at.MAGIC_ZERO, at.MAGIC_BITS - output.zeroPoint, true);
  view.setUint32(descriptor + at.LOW_BYTES, output.low * 0x01010101, true);
  view.setUint32(descriptor + at.HIGH_BYTES, output.high * 0x01010101, true);
}
