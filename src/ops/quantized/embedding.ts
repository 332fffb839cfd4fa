/**
 * Embedding tables of 8- or 4-bit rows with float parameters; indices in, float32 out.
 *
 * A row is scaled back as fma(scale, q, sum + offset) with offset = f32(-(zeroPoint * scale)); 4-bit tables keep scale
 * and offset as 16-bit floats. Source: ATen/native/quantized/cpu/{qembeddingbag,qembeddingbag_prepack}.cpp.
 */

import { ArgumentError, DtypeError, ShapeError } from "../../errors.ts";
import type { PerChannelQParams } from "../../tensor/qparams.ts";
import { fromArray } from "../../tensor/create.ts";
import { sameShape } from "../../tensor/shape.ts";
import { roundingTo } from "../../tensor/small-floats.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import { reshape } from "../shape.ts";
import { NO_GRADIENT } from "./common.ts";

const { fround } = Math;

function requireTable(where: string, { dtype, shape, qparams }: TensorType): PerChannelQParams {
  if (
    (dtype !== "quint8" && dtype !== "quint4x2") ||
    qparams?.kind !== "perChannelFloat" ||
    qparams.axis !== 0 ||
    shape.length !== 2
  ) {
    throw new DtypeError(
      where,
      { weight: dtype, shape, qparams: qparams?.kind },
      "the weight must be a matrix of quint8 or quint4x2 with float parameters a row",
      "Use floatQParamsWeightOnlyQConfig",
    );
  }
  return qparams;
}

function requireIndices(where: string, { dtype }: TensorType): void {
  if (dtype !== "int64" && dtype !== "int32")
    throw new DtypeError(where, { indices: dtype }, "indices must be int64 or int32");
}

/** Scale and offset of every row, as stored with it. */
function rowLines(weight: Tensor): { scales: number[]; offsets: number[] } {
  const { scales, zeroPoints } = requireTable("quantizedEmbedding", weight);
  const keep = weight.dtype === "quint4x2" ? roundingTo("float16") : fround;
  return {
    scales: scales.map((scale) => keep(fround(scale))),
    offsets: scales.map((scale, i) => keep(fround(-fround(fround(zeroPoints[i]!) * fround(scale))))),
  };
}

/** Adds row `index`, weighted, to out[at...]. @throws ArgumentError for an index outside the table. */
function addRow(
  weight: Tensor,
  lines: ReturnType<typeof rowLines>,
  index: number,
  factor: number,
  out: Float32Array,
  at: number,
): void {
  const [rows, width] = [weight.shape[0]!, weight.shape[1]!];
  if (!(index >= 0 && index < rows))
    throw new ArgumentError("quantizedEmbedding", { index, rows }, "every index must be a row of the table");
  const scale = fround(factor * lines.scales[index]!);
  const offset = fround(factor * lines.offsets[index]!);
  for (let i = 0; i < width; i++) out[at + i] = scale * weight.data[index * width + i]! + fround(out[at + i]! + offset);
}

export const quantizedEmbeddingOp = defineOp<
  readonly [weight: Tensor, indices: Tensor],
  Readonly<Record<string, never>>
>({
  name: "quantizedEmbedding",
  infer([weight, indices]) {
    requireTable("quantizedEmbedding", weight);
    requireIndices("quantizedEmbedding", indices);
    return [{ dtype: "float32", shape: [...indices.shape, weight.shape[1]!] }];
  },
  forward([weight, indices], _, [type]) {
    const width = weight.shape[1]!;
    const lines = rowLines(weight);
    const out = new Float32Array(indices.numel * width);
    indices.data.forEach((index, i) => addRow(weight, lines, index, 1, out, i * width));
    return [new Tensor("float32", type!.shape, out)];
  },
  backward: NO_GRADIENT,
});

/** Rows of a quantized table: weight [rows, width], indices of any shape -> float32 [...indices, width]. @throws DtypeError, ArgumentError */
export function quantizedEmbedding(weight: Tensor, indices: Tensor): Tensor {
  return apply(quantizedEmbeddingOp, [weight, indices], {});
}

type BagInputs = readonly [weight: Tensor, indices: Tensor, offsets: Tensor, perSampleWeights: Tensor | null];

function bagCount(offsets: TensorType, includeLastOffset: boolean): number {
  return offsets.shape[0]! - (includeLastOffset ? 1 : 0);
}

export const quantizedEmbeddingBagOp = defineOp<BagInputs, { readonly includeLastOffset: boolean }>({
  name: "quantizedEmbeddingBag",
  infer([weight, indices, offsets, perSampleWeights], { includeLastOffset }) {
    requireTable("quantizedEmbeddingBag", weight);
    requireIndices("quantizedEmbeddingBag", indices);
    if (indices.shape.length !== 1 || offsets.shape.length !== 1) {
      throw new ShapeError(
        "quantizedEmbeddingBag",
        { indices: indices.shape, offsets: offsets.shape },
        "indices and offsets must have one axis",
      );
    }
    if (perSampleWeights && !sameShape(perSampleWeights.shape, indices.shape)) {
      throw new ShapeError(
        "quantizedEmbeddingBag",
        { weights: perSampleWeights.shape, indices: indices.shape },
        "there must be one weight an index",
      );
    }
    return [{ dtype: "float32", shape: [bagCount(offsets, includeLastOffset), weight.shape[1]!] }];
  },
  forward([weight, indices, offsets, perSampleWeights], _, [type]) {
    const [bags, width] = [type!.shape[0]!, type!.shape[1]!];
    const lines = rowLines(weight);
    const out = new Float32Array(bags * width);
    for (let bag = 0; bag < bags; bag++) {
      const end = bag + 1 < offsets.numel ? offsets.data[bag + 1]! : indices.numel;
      for (let i = offsets.data[bag]!; i < end; i++) {
        addRow(weight, lines, indices.data[i]!, perSampleWeights ? perSampleWeights.data[i]! : 1, out, bag * width);
      }
    }
    return [new Tensor("float32", type!.shape, out)];
  },
  backward: NO_GRADIENT,
});

export interface BagOptions {
  /** Start of every bag in `indices`; left out, indices must be [bags, length]. */
  readonly offsets?: Tensor | null;
  readonly perSampleWeights?: Tensor | null;
  /** The last offset is the end of the last bag. */
  readonly includeLastOffset?: boolean;
}

/**
 * Sums of rows, one a bag: float32 [bags, width]. PyTorch's quantized bags know only the mode "sum".
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function quantizedEmbeddingBag(weight: Tensor, indices: Tensor, options: BagOptions = {}): Tensor {
  const { offsets = null, perSampleWeights = null, includeLastOffset = false } = options;
  if (offsets)
    return apply(quantizedEmbeddingBagOp, [weight, indices, offsets, perSampleWeights], { includeLastOffset });
  if (indices.rank !== 2)
    throw new ShapeError(
      "quantizedEmbeddingBag",
      { indices: indices.shape },
      "indices without offsets must have two axes",
    );
  const [bags, length] = [indices.shape[0]!, indices.shape[1]!];
  const starts = fromArray(
    Float64Array.from({ length: bags }, (_, i) => i * length),
    [bags],
    "int64",
  );
  const flat = reshape(indices, [-1]);
  const weights = perSampleWeights && reshape(perSampleWeights, [-1]);
  return apply(quantizedEmbeddingBagOp, [weight, flat, starts, weights], { includeLastOffset: false });
}
