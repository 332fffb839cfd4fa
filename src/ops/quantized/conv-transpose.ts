/**
 * Quantized transposed convolution over one to three spatial axes.
 *
 * The weight is [C, O / groups, ...]. PyTorch quantizes it per tensor only (per-channel scales would have to run
 * along axis 1). Source: ATen/native/quantized/cpu/qconv.cpp with kTranspose.
 */

import { DtypeError } from "../../errors.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { convTransposeOutputShape, perAxis } from "../conv-geometry.ts";
import type { ConvTransposeAttrs, PerAxis, SpatialRank } from "../conv-geometry.ts";
import { apply, defineOp } from "../op.ts";
import { convTransposeSums } from "./accumulate.ts";
import { NO_GRADIENT, quantizedType, requireByte } from "./common.ts";
import type { OutputQParams } from "./common.ts";
import { convAttrs } from "./conv.ts";
import type { QuantizedConvOptions } from "./conv.ts";
import { DEFAULT_ENGINE, checkEngine, convRounding } from "./engines.ts";
import type { QEngine } from "./engines.ts";
import { biasOf, productScales, requantizeSums } from "./epilogue.ts";
import { requireWeight } from "./linear.ts";
import type { WeightedInputs } from "./linear.ts";

export type QuantizedConvTransposeAttrs = ConvTransposeAttrs & OutputQParams & { readonly engine: QEngine };

export const quantizedConvTransposeOp = defineOp<WeightedInputs, QuantizedConvTransposeAttrs>({
  name: "quantizedConvTranspose",
  infer([x, weight, bias], attrs) {
    checkEngine("quantizedConvTranspose", attrs.engine);
    const { dtype } = requireByte("quantizedConvTranspose", x);
    const shape = convTransposeOutputShape("quantizedConvTranspose", x.shape, weight.shape, attrs);
    if (weight.qparams?.kind !== "perTensor") {
      throw new DtypeError(
        "quantizedConvTranspose",
        { qparams: weight.qparams?.kind },
        "the weight must be quantized per tensor",
      );
    }
    requireWeight("quantizedConvTranspose", weight, bias, shape[1]!, 1);
    return [quantizedType("quantizedConvTranspose", dtype, shape, attrs)];
  },
  forward([x, weight, bias], attrs, [type]) {
    const { scale, zeroPoint, engine, groups, outputPadding } = attrs;
    const { qparams, dtype } = requireByte("quantizedConvTranspose", x);
    const channels = type!.shape[1]!;
    const values = requantizeSums(
      { values: convTransposeSums(x, weight, type!.shape, attrs), channels, inner: numel(type!.shape.slice(2)) },
      {
        rounding: convRounding(engine, weight.qparams!, groups, outputPadding), dtype, relu: false,
        output: { scale, zeroPoint }, scales: productScales(qparams.scale, weight.qparams!, channels),
        perChannel: weight.qparams!.kind !== "perTensor", bias: biasOf(bias),
      }, // prettier-ignore
    );
    return [new Tensor(dtype, type!.shape, values, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

export type QuantizedConvTransposeOptions = Omit<QuantizedConvOptions, "relu"> & { readonly outputPadding?: PerAxis };

function ofRank(rank: SpatialRank) {
  const where = `quantizedConvTranspose${rank}d`;
  return (x: Tensor, weight: Tensor, bias: Tensor | null, options: QuantizedConvTransposeOptions): Tensor => {
    const { scale, zeroPoint, outputPadding = 0, engine = DEFAULT_ENGINE } = options;
    const attrs = {
      ...convAttrs(where, weight.shape.slice(2), rank, options),
      outputPadding: perAxis(where, "outputPadding", outputPadding, rank, 0),
    };
    return apply(quantizedConvTransposeOp, [x, weight, bias], { ...attrs, scale, zeroPoint, engine });
  };
}

/**
 * Transposed convolution of x [N, C, L] with a qint8 weight [C, O / groups, K] quantized per tensor and a float bias;
 * the result [N, O, L'] has the dtype of x and the given parameters. @throws ShapeError, DtypeError, ArgumentError
 */
export const quantizedConvTranspose1d = ofRank(1);
/** `quantizedConvTranspose1d` for x [N, C, H, W]. */
export const quantizedConvTranspose2d = ofRank(2);
/** `quantizedConvTranspose1d` for x [N, C, D, H, W]. */
export const quantizedConvTranspose3d = ofRank(3);
