/**
 * Steps that change a value's form. Images of one shape with different borders are copied row by row; between
 * NCHW and NHWC values are transposed.
 */

import { imageStride, pixelOffset, rowStride } from "../kernels/qconv/image.ts";
import type { Image } from "../kernels/qconv/image.ts";
import type { Node } from "../graph/graph.ts";
import { elementBytes, isOrderFree } from "./form.ts";
import type { Buffer } from "./buffer.ts";
import type { Place, PlanBuilder } from "./plan.ts";
import { load, store } from "./transfer.ts";

/** A stretch of elements that lies contiguous in both images. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

function isBare({ border }: Image): boolean {
  return border.top + border.bottom + border.left + border.right === 0;
}

/** The rows of two images of one size, as element offsets; one run in all when neither has a border. */
export function imageRuns(from: Image, to: Image): Run[] {
  if (isBare(from) && isBare(to)) return [{ from: 0, to: 0, count: from.n * imageStride(from) }];
  const runs: Run[] = [];
  for (let n = 0; n < from.n; n++) {
    for (let y = 0; y < from.h; y++) {
      runs.push({ from: pixelOffset(from, n, y, 0), to: pixelOffset(to, n, y, 0), count: from.w * from.c });
    }
  }
  return runs;
}

function copyRuns({ engine, at }: Place, from: Buffer, to: Buffer, runs: readonly Run[]): () => void {
  const size = elementBytes(from.element);
  const [source, target] = [at(from), at(to)];
  return () => {
    const bytes = new Uint8Array(engine.memory.wasm.buffer);
    for (const run of runs)
      bytes.copyWithin(target + run.to * size, source + run.from * size, source + (run.from + run.count) * size);
  };
}

/** Between flat and image, f32: the layout kernels; bytes go through a tensor. */
function transpose(place: Place, from: Buffer, to: Buffer, flip: number): () => void {
  const { engine, at } = place;
  const [source, target] = [at(from), at(to)];
  if (from.element !== "f32") return () => store(engine, to, target, load(engine, from, source, flip), flip);
  const { kernels } = engine;
  const image = from.form.kind === "image" ? from.form.image : to.image;
  const plane = image.h * image.w * 4;
  const [row, pixel] = [rowStride(image) * 4, image.c * 4];
  const toImage = to.form.kind === "image";
  return () => {
    for (let n = 0; n < image.n; n++) {
      const inside = pixelOffset(image, n, 0, 0) * 4;
      const planar = n * image.c * plane;
      if (toImage)
        kernels.layout_planes_to_pixels(image.c, image.h, image.w, source + planar, plane, target + inside, row, pixel);
      else
        kernels.layout_pixels_to_planes(image.c, image.h, image.w, source + inside, row, pixel, target + planar, plane);
    }
  };
}

/** Between the JavaScript heap and the engine's memory. */
function moveBetween({ engine, at, host }: Place, from: Buffer, to: Buffer, flip: number): () => void {
  if (from.element === "host") {
    const [slot, target] = [host(from), at(to)];
    return () => store(engine, to, target, slot.tensor!, flip);
  }
  const [source, slot] = [at(from), host(to)];
  return () => (slot.tensor = load(engine, from, source, flip));
}

/** Adds the step that makes `to` from `from`. */
export function convertForm(plan: PlanBuilder, node: Node, from: Buffer, to: Buffer): void {
  if ((from.element === "host") !== (to.element === "host")) {
    plan.step({
      node,
      kernel: from.element === "host" ? "from the host" : "to the host",
      precision: "copy",
      why: "one side computes on the JavaScript heap",
      operations: 0,
      reads: [from],
      writes: [to],
      bind: (place) => moveBetween(place, from, to, plan.flip),
    });
    return;
  }
  const images = from.form.kind === "image" && to.form.kind === "image";
  const free = [from, to].every(({ form }) => form.kind === "flat" || isOrderFree(form.image));
  plan.step({
    node,
    kernel: images ? "copy into border" : free ? "copy" : "transpose",
    precision: "copy",
    why: images ? "a reader needs padding around the image" : "a reader needs another layout",
    operations: 0,
    reads: [from],
    writes: [to],
    bind(place) {
      if (images) return copyRuns(place, from, to, imageRuns(from.image, to.image));
      if (free) return copyRuns(place, from, to, [{ from: 0, to: 0, count: from.bytes / elementBytes(from.element) }]);
      return transpose(place, from, to, plan.flip);
    },
  });
}
