/**
 * Layers that round as oneDNN does: their results as reals in two roundings, f32(f32(acc) a) + b, then perhaps another
 * tensor added, relu, and quantized, product with f32(1 / so) and zero point rounded one after the other. That is made in
 * passes of their own over the reals.
 */

import type { Node } from "../../graph/graph.ts";
import { ADD } from "../../kernels/f32-binary/kinds.ts";
import { NO_BORDER } from "../../kernels/qconv/image.ts";
import type { Quantizer } from "../../kernels/quantize/rules.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { flat } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import { ELEMENT_WORK, LINES, sharedLines } from "../lines.ts";
import type { Place, PlanBuilder } from "../plan.ts";
import { bindDequantize, bindQuantize } from "./quantize.ts";
import { dequantizerOf, quantizerOf } from "./quantized-storage.ts";

function onednnQuantizer(type: TensorType, flip: 0 | 0x80, relu: boolean): Quantizer {
  const quantizer = quantizerOf(type, flip, "addThenRoundTwice", { relu });
  return { ...quantizer, inverse: Math.fround(1 / quantizer.scale) };
}

/** A layer that is computed as reals first. */
export interface RealLayer {
  readonly kernel: string;
  readonly operations: number;
  readonly reads: readonly Buffer[];
  readonly output: Buffer;
  /** Bytes of the output's shape that are added. */
  readonly other: Buffer | null;
  readonly relu: boolean;
  /** The call that writes the reals. */
  bind(place: Place, reals: Buffer): () => void;
}

/** Room for the reals of an output, in its form but for the border. */
export function realsFor(plan: PlanBuilder, { type, form }: Buffer): Buffer {
  const real: TensorType = { dtype: "float32", shape: type.shape };
  const bare = form.kind === "image" ? { ...form, image: { ...form.image, border: NO_BORDER } } : flat(type.shape);
  return plan.scratch(real, bare);
}

/** reals = reals + dequantized bytes. */
function bindAdd(place: Place, reals: Buffer, other: Buffer, room: Buffer, flip: 0 | 0x80): () => void {
  const dequantize = bindDequantize(place, other, room, dequantizerOf(other.type, flip, false));
  const { count, length, tables } = sharedLines(place, [reals, room]);
  const [own, others] = tables as [number, number];
  const [y, b] = [place.at(reals), place.at(room)];
  const args = [0, count, own, others, own, y, b, y, length, ADD, 1, 1, -Infinity, Infinity] as const;
  return () => {
    dequantize();
    place.engine.share("f32_binary", [...args], LINES, ELEMENT_WORK * count * length);
  };
}

/** Adds the layer and the passes behind it. */
export function addRealLayer(node: Node, plan: PlanBuilder, layer: RealLayer, reals: Buffer): void {
  const { output, other, relu, reads } = layer;
  const room = other && realsFor(plan, output);
  plan.step({
    node,
    kernel: `${layer.kernel}, quantize`,
    precision: "int8",
    why: "oneDNN rounds reals",
    operations: layer.operations,
    reads: other ? [...reads, other] : reads,
    writes: [reals, ...(room ? [room] : []), output],
    bind(place) {
      const run = layer.bind(place, reals);
      const add = other && room && bindAdd(place, reals, other, room, plan.flip);
      const quantize = bindQuantize(place, reals, output, onednnQuantizer(output.type, plan.flip, relu));
      return () => {
        run();
        add?.();
        quantize();
      };
    },
  });
}
