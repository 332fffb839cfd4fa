/**
 * Block-wise affine quantization: one scale a block of `blockSize` (one entry an axis), which covers per tensor,
 * per row, per group and per token alike. Zero points are integers (INT), absent (NONE), or floats in the units of
 * x around the middle of the range (FLOAT, as in tinygemm):
 *
 *     INT    q = clamp(rne(x * f32(1/s)) + z)          x = (q - z) * s
 *     FLOAT  q = clamp(rne((x - (z - s*mid)) / s))     x = (q - mid) * s + z
 *
 * Source: torchao/quantization/quant_primitives.py.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { rint } from "../../tensor/rounding.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { emptyOutputs } from "../loops.ts";
import { apply, defineOp, dispatch, requireFloat } from "../op.ts";
import type { Op } from "../op.ts";
import { forEachBlockRun, resolveBlock, scaleShape } from "./blocks.ts";
import { roundStored } from "./decomposed.ts";
import { chooseAffine, clampNanLow, middleOf } from "./numerics.ts";
import type { MappingType, ZeroPointDomain } from "./numerics.ts";
import { rangeOf } from "./ranges.ts";

const { fround } = Math;

type Inputs = readonly [x: Tensor, scale: Tensor, zeroPoint: Tensor | null];

export type AffineAttrs = {
  readonly blockSize: readonly number[];
  readonly quantMin: number;
  readonly quantMax: number;
  readonly zeroPointDomain: ZeroPointDomain;
};
export type AffineQuantizeAttrs = AffineAttrs & { readonly dtype: DType };

/** The clamped integer of one value. */
function quantizeOne(x: number, s: number, z: number, attrs: AffineAttrs): number {
  const { quantMin, quantMax, zeroPointDomain } = attrs;
  return clampNanLow(unclampedOne(x, s, z, zeroPointDomain, middleOf(attrs)), quantMin, quantMax);
}

function unclampedOne(x: number, s: number, z: number, domain: ZeroPointDomain, middle: number): number {
  if (domain === "FLOAT") return rint(fround(fround(x - fround(z - fround(s * middle))) / s));
  return fround(rint(fround(x * fround(1 / s))) + z);
}

function dequantizeOne(q: number, s: number, z: number, attrs: AffineAttrs): number {
  if (attrs.zeroPointDomain === "FLOAT") return fround(fround(fround(q - middleOf(attrs)) * s) + z);
  return fround(fround(q - z) * s);
}

function checkParameters(
  where: string,
  x: Shape,
  scale: Shape,
  zeroPoint: Shape | null,
  blockSize: readonly number[],
): void {
  const blocks = numel(scaleShape(where, x, blockSize));
  if (numel(scale) === blocks && (zeroPoint === null || numel(zeroPoint) === blocks)) return;
  throw new ShapeError(
    where,
    { x, blockSize, scale, zeroPoint },
    "there must be one scale and one zero point for every block",
  );
}

/** Calls `f` for each run of elements of one block. */
function forEachRun(
  [x, scale, zeroPoint]: Inputs,
  { blockSize }: AffineAttrs,
  f: (start: number, end: number, scale: number, zeroPoint: number) => void,
): void {
  forEachBlockRun(x.shape, blockSize, (start, end, block) => {
    f(start, end, scale.data[block]!, zeroPoint ? zeroPoint.data[block]! : 0);
  });
}

export const quantizeAffineOp = defineOp<Inputs, AffineQuantizeAttrs>({
  name: "quantizeAffine",
  infer([x, scale, zeroPoint], { blockSize, dtype }) {
    requireFloat("quantizeAffine", x);
    checkParameters("quantizeAffine", x.shape, scale.shape, zeroPoint?.shape ?? null, blockSize);
    return [{ dtype, shape: x.shape }];
  },
  forward(inputs, attrs) {
    const [x] = inputs;
    const out = allocate(attrs.dtype, x.numel);
    forEachRun(inputs, attrs, (start, end, s, z) => {
      for (let i = start; i < end; i++) out[i] = quantizeOne(x.data[i]!, s, z, attrs);
    });
    return [new Tensor(attrs.dtype, x.shape, out)];
  },
  backward: "integers have no gradient; fakeQuantizeAffine is the differentiable form",
});

export const dequantizeAffineOp = defineOp<Inputs, AffineAttrs & { readonly outDType: DType }>({
  name: "dequantizeAffine",
  infer([q, scale, zeroPoint], { blockSize, outDType }) {
    checkParameters("dequantizeAffine", q.shape, scale.shape, zeroPoint?.shape ?? null, blockSize);
    return [{ dtype: outDType, shape: q.shape }];
  },
  forward(inputs, attrs) {
    const [q] = inputs;
    const out = allocate(attrs.outDType, q.numel);
    forEachRun(inputs, attrs, (start, end, s, z) => {
      for (let i = start; i < end; i++) out[i] = dequantizeOne(q.data[i]!, s, z, attrs);
    });
    return [roundStored(new Tensor(attrs.outDType, q.shape, out))];
  },
  backward: "integers have no gradient",
});

export const fakeQuantizeAffineOp = defineOp<Inputs, AffineAttrs>({
  name: "fakeQuantizeAffine",
  infer([x, scale, zeroPoint], { blockSize }) {
    requireFloat("fakeQuantizeAffine", x);
    checkParameters("fakeQuantizeAffine", x.shape, scale.shape, zeroPoint?.shape ?? null, blockSize);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  forward(inputs, attrs) {
    const [x] = inputs;
    const out = allocate(x.dtype, x.numel);
    forEachRun(inputs, attrs, (start, end, s, z) => {
      for (let i = start; i < end; i++) out[i] = dequantizeOne(quantizeOne(x.data[i]!, s, z, attrs), s, z, attrs);
    });
    return [roundStored(new Tensor(x.dtype, x.shape, out))];
  },
  backward: (dy, { inputs, attrs }) => [apply(fakeQuantizeAffineGradientOp, [dy, ...inputs], attrs), null, null],
});

type GradientInputs = readonly [dy: Tensor, ...Inputs];

/** dy where the unclamped integer is inside the range, else 0. */
export const fakeQuantizeAffineGradientOp: Op<GradientInputs, AffineAttrs> = defineOp<GradientInputs, AffineAttrs>({
  name: "fakeQuantizeAffineGradient",
  infer: ([dy]) => [{ dtype: dy.dtype, shape: dy.shape }],
  forward([dy, ...inputs], attrs) {
    const [x] = inputs;
    const { quantMin, quantMax, zeroPointDomain } = attrs;
    const out = allocate(dy.dtype, dy.numel);
    forEachRun(inputs, attrs, (start, end, s, z) => {
      for (let i = start; i < end; i++) {
        const q = unclampedOne(x.data[i]!, s, z, zeroPointDomain, middleOf(attrs));
        out[i] = q >= quantMin && q <= quantMax ? dy.data[i]! : 0;
      }
    });
    return [new Tensor(dy.dtype, dy.shape, out)];
  },
  backward: (ddx, { inputs: [, ...inputs], attrs }) => [
    apply(fakeQuantizeAffineGradientOp, [ddx, ...inputs], attrs), null, null, null,
  ], // prettier-ignore
});

export type ChooseAffineAttrs = AffineAttrs & {
  readonly mappingType: MappingType;
  readonly eps: number;
  readonly scaleDType: DType;
  readonly zeroPointDType: DType;
};

export const chooseQParamsAffineOp = defineOp<readonly [Tensor], ChooseAffineAttrs>({
  name: "chooseQParamsAffine",
  infer([x], { blockSize, scaleDType, zeroPointDType }) {
    requireFloat("chooseQParamsAffine", x);
    const shape = scaleShape("chooseQParamsAffine", x.shape, blockSize);
    return [
      { dtype: scaleDType, shape },
      { dtype: zeroPointDType, shape },
    ];
  },
  forward([x], attrs, types) {
    const [scale, zeroPoint] = emptyOutputs(types) as [Tensor, Tensor];
    const low = new Float64Array(scale.numel).fill(Infinity);
    const high = new Float64Array(scale.numel).fill(-Infinity);
    forEachBlockRun(x.shape, attrs.blockSize, (start, end, block) => {
      const { min, max } = rangeOf(x.data, start, end);
      low[block] = Math.min(low[block]!, min);
      high[block] = Math.max(high[block]!, max);
    });
    for (let block = 0; block < scale.numel; block++) {
      const chosen = chooseAffine(low[block]!, high[block]!, attrs);
      scale.data[block] = chosen.scale;
      zeroPoint.data[block] = chosen.zeroPoint;
    }
    return [roundStored(scale), roundStored(zeroPoint)];
  },
  backward: "parameters chosen from values are constants to gradients",
});

export interface AffineOptions {
  readonly quantMin?: number;
  readonly quantMax?: number;
  readonly zeroPointDomain?: ZeroPointDomain;
}

/** The complete attributes of a call: the range is the integer dtype's unless given. @throws ArgumentError, ShapeError */
function complete(
  where: string,
  x: Shape,
  blockSize: readonly number[],
  dtype: DType,
  options: AffineOptions,
): AffineAttrs {
  const { min, max } = dtypeInfo[dtype];
  const { quantMin = min, quantMax = max, zeroPointDomain = "INT" } = options;
  if (quantMin < min || quantMax > max || quantMin >= quantMax) {
    throw new ArgumentError(where, { quantMin, quantMax, dtype }, "quantMin..quantMax must lie within the dtype");
  }
  return { blockSize: resolveBlock(where, x, blockSize), quantMin, quantMax, zeroPointDomain };
}

/**
 * Integers of x by blocks. Same shape as x, dtype `dtype` (a plain integer).
 * @param blockSize one entry an axis, dividing its size; -1 is the whole axis.
 * @param scale, zeroPoint one value a block, row-major; zero points null mean 0.
 * @throws ShapeError, ArgumentError, DtypeError
 */
export function quantizeAffine(
  x: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  dtype: DType,
  options: AffineOptions = {},
): Tensor {
  return apply(quantizeAffineOp, [x, scale, zeroPoint], {
    ...complete("quantizeAffine", x.shape, blockSize, dtype, options),
    dtype,
  });
}

/** The float tensor that integers of dtype q.dtype stand for. @throws as quantizeAffine */
export function dequantizeAffine(
  q: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  options: AffineOptions & { readonly outDType?: DType } = {},
): Tensor {
  const attrs = complete("dequantizeAffine", q.shape, blockSize, q.dtype, options);
  return apply(dequantizeAffineOp, [q, scale, zeroPoint], { ...attrs, outDType: options.outDType ?? "float32" });
}

/** Quantize and dequantize in one, staying float; straight-through gradient to x inside the range. @throws as quantizeAffine */
export function fakeQuantizeAffine(
  x: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  dtype: DType,
  options: AffineOptions = {},
): Tensor {
  return apply(
    fakeQuantizeAffineOp,
    [x, scale, zeroPoint],
    complete("fakeQuantizeAffine", x.shape, blockSize, dtype, options),
  );
}

export interface ChooseAffineOptions extends AffineOptions {
  /** Smallest scale; the smallest normal number of x's dtype unless given. */
  readonly eps?: number;
  readonly scaleDType?: DType;
  readonly zeroPointDType?: DType;
}

const SMALLEST_NORMAL: Partial<Record<DType, number>> = { float16: 2 ** -14, float64: 2 ** -1022 };

/** Scales and zero points of the blocks of x: [size / block, ...]. @throws ShapeError, ArgumentError, DtypeError */
export function chooseQParamsAffine(
  x: Tensor,
  mappingType: MappingType,
  blockSize: readonly number[],
  targetDType: DType,
  options: ChooseAffineOptions = {},
): [scale: Tensor, zeroPoint: Tensor] {
  const attrs = complete("chooseQParamsAffine", x.shape, blockSize, targetDType, options);
  const { eps = SMALLEST_NORMAL[x.dtype] ?? 2 ** -126, scaleDType = x.dtype } = options;
  const zeroPointDType = options.zeroPointDType ?? (attrs.zeroPointDomain === "FLOAT" ? x.dtype : "int32");
  const [scale, zeroPoint] = dispatch(chooseQParamsAffineOp, [x], {
    ...attrs,
    mappingType,
    eps,
    scaleDType,
    zeroPointDType,
  });
  return [scale!, zeroPoint!];
}
