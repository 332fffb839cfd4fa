/**
 * Linear layers whose input is quantized by its own range, as exported graphs and ONNX files say it:
 *
 *     PT2E:   linear(dequantize(quantize(x, s, z), s, z), dequantize(w), b)
 *     ONNX:   f32(integerMatmul(quantize(x, s, z), W, z)) * (s * sw) + b
 *
 * with s, z = chooseQParams(x). In both, sums of integers are exact and f32(acc) * f32(s * sw) + b is what is rounded, so the
 * integer operator gives the same bits.
 */

import { any, constant, literal, oneOf, op, optionalConstant, value } from "../../graph/match.ts";
import type { Match, OpPattern, Pattern } from "../../graph/match.ts";
import type { Argument, Graph } from "../../graph/graph.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Builder, Rule } from "../../graph/rewrite.ts";
import { decomposedChooseQParamsOp } from "../../ops/quantize/choose.ts";
import { decomposedLinearDynamicOp } from "../../ops/quantized/float-output.ts";
import { integerMatmulOp } from "../../ops/quantized/integer-matmul.ts";
import { perChannel } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { DEQUANTIZE, QUANTIZE } from "./edges.ts";
import { quantizedWeight, weight } from "./products.ts";

const CHOOSE = decomposedChooseQParamsOp.name;

/** A tensor quantized by its own range: what was chosen, and the integers. */
class OwnRange {
  readonly x = value();
  readonly scale = op(CHOOSE, this.x);
  readonly zeroPoint = op(CHOOSE, this.x);
  readonly integers = op(QUANTIZE, this.x, this.scale, this.zeroPoint);

  /** Whether both parameters are one choice's, and the integers are bytes of its range. */
  fits(match: Match): boolean {
    const [s, z] = [match.value(this.scale), match.value(this.zeroPoint)];
    const { attrs } = s.node;
    const own = match.node(this.integers).attrs;
    const isPair = s.node === z.node && s.index === 0 && z.index === 1;
    const isByte = attrs["dtype"] === "int8" || attrs["dtype"] === "uint8";
    const isOne = ["dtype", "quantMin", "quantMax"].every((key) => own[key] === attrs[key]);
    return isPair && isByte && isOne && match.value(this.x).type?.dtype === "float32";
  }

  layer(match: Match, build: Builder, w: Argument, b: Argument): Argument {
    return build.call(decomposedLinearDynamicOp, [match.arg(this.x), w, b], match.node(this.scale).attrs);
  }
}

function exportedLinear(): Rule {
  const [range, bias] = [new OwnRange(), optionalConstant()];
  const { scale, zeroPoint, integers } = range;
  const input = op(DEQUANTIZE, integers, scale, zeroPoint).where(({ attrs }) => attrs["outDType"] === "float32");
  return rule(decomposedLinearDynamicOp.name, op("linear", input, weight, bias), (match, build) => {
    const w = range.fits(match) ? quantizedWeight(match, build) : null;
    return w && range.layer(match, build, w, match.arg(bias));
  });
}

/** Numbers of a literal, or of a stored tensor with one or `count` elements, one each; null for others. */
function numbersOf(graph: Graph, arg: Argument, count: number): number[] | null {
  const stored = graph.tensorOf(arg);
  const values = typeof arg === "number" ? [arg] : stored && Array.from(stored.data, Number);
  if (!values || (values.length !== 1 && values.length !== count)) return null;
  return Array.from({ length: count }, (_, i) => values[values.length === 1 ? 0 : i]!);
}

/** Bytes [k, n] as the rows of a qint8 weight [n, k]: unsigned ones and their zero points move down by 128. */
function turned({ dtype, shape, data }: Tensor, scales: readonly number[], zeroPoints: readonly number[]): Tensor {
  const [depth, channels] = shape as [number, number];
  const shift = dtype === "uint8" ? 128 : 0;
  const rows = Int8Array.from(
    { length: data.length },
    (_, i) => data[(i % depth) * channels + Math.floor(i / depth)]! - shift,
  );
  const zeros = zeroPoints.map((z) => z - shift);
  return new Tensor("qint8", [channels, depth], rows, perChannel(scales, zeros, 0));
}

class IntegerProduct {
  readonly range = new OwnRange();
  private readonly matrix = constant();
  private readonly zeroPoints = any();
  private readonly scales: Pattern = oneOf(literal(), constant());
  readonly pattern: OpPattern;

  constructor() {
    const { range, matrix, zeroPoints, scales } = this;
    const zeroPoint = op("reshape", op("cast", range.zeroPoint));
    const sums = op(integerMatmulOp.name, range.integers, matrix, zeroPoint, zeroPoints).usedOnce();
    const real = op("cast", sums)
      .usedOnce()
      .where(({ attrs }) => attrs["dtype"] === "float32");
    const factor = op("mul", op("reshape", op("cast", range.scale)), scales).commutative();
    this.pattern = op("mul", real, factor).commutative();
  }

  /** The weight, stored; null when the operands are not what a layer has. */
  weight(match: Match, build: Builder): Argument {
    const { graph } = match;
    const matrix = match.tensor(this.matrix);
    if (!matrix || matrix.rank !== 2 || !this.range.fits(match)) return null;
    const channels = matrix.shape[1]!;
    const zeroPoints = match.arg(this.zeroPoints);
    const zeros = zeroPoints === null ? new Array<number>(channels).fill(0) : numbersOf(graph, zeroPoints, channels);
    const scales = numbersOf(graph, match.arg(this.scales), channels);
    return zeros && scales && build.constant(turned(matrix, scales, zeros), "_quantized_weight");
  }
}

function onnxLinear(): Rule {
  const product = new IntegerProduct();
  return rule("onnx-linear-dynamic", product.pattern, (match, build) => {
    const w = product.weight(match, build);
    return w && product.range.layer(match, build, w, null);
  });
}

/** A bias behind a layer without one: it is added to the rounded product in the layer too. */
function addedBias(): Rule {
  const [x, w, bias] = [any(), constant(), constant()];
  const layer = op(decomposedLinearDynamicOp.name, x, w)
    .usedOnce()
    .where(({ args }) => (args[2] ?? null) === null);
  return rule("linear-dynamic-bias", op("add", layer, bias).commutative(), (match, build) => {
    const b = match.tensor(bias)!;
    const channels = match.tensor(w)!.shape[0]!;
    if (b.dtype !== "float32" || b.rank !== 1 || b.numel !== channels) return null;
    const args = [match.arg(x), match.arg(w), match.arg(bias)];
    return build.call(decomposedLinearDynamicOp, args, match.node(layer).attrs);
  });
}

export const dynamicRules: readonly Rule[] = [exportedLinear(), onnxLinear(), addedBias()];
