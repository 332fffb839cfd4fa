/**
 * Observe, choose parameters and fake-quantize in one operator, as quantization-aware training does by default.
 *
 * Unlike PyTorch's it is pure: the new running statistics and parameters are outputs, which the module assigns
 * to its buffers. Parameters come from chooseQuantizationParams, not from the observers' formula, and are chosen
 * anew whenever fake quantization is on, even while observing is off.
 * Source: ATen/native/quantized/cpu/fused_obs_fake_quant.cpp.
 */

import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { emptyOutputs } from "../loops.ts";
import { apply, defineOp, dispatch, requireFloat } from "../op.ts";
import { fakeQuantizeGradientOp, fakeQuantizeOp } from "./fake-quantize.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { chooseQuantizationParams } from "./numerics.ts";
import { observeMinMaxOp } from "./observe.ts";

type FusedInputs = readonly [x: Tensor, runningMin: Tensor, runningMax: Tensor, scale: Tensor, zeroPoint: Tensor];

export type FusedAttrs = {
  readonly observerOn: boolean;
  readonly fakeQuantOn: boolean;
  readonly averagingConst: number;
  readonly quantMin: number;
  readonly quantMax: number;
  /** null: per tensor. */
  readonly axis: number | null;
  readonly symmetric: boolean;
};

type FusedTypes = readonly [TensorType, TensorType, TensorType, TensorType, TensorType];

function channelsOf(
  [x, , , scale]: readonly [TensorType, TensorType, TensorType, TensorType, TensorType],
  axis: number | null,
): readonly number[] {
  return axis === null ? scale.shape : [x.shape[axis]!];
}

/** Scale and zero point of each running range; ranges that have seen nothing count as [0, 0]. */
export function chooseFusedParameters(
  min: Tensor,
  max: Tensor,
  attrs: FusedAttrs,
  types: readonly TensorType[],
): [Tensor, Tensor] {
  const [scale, zeroPoint] = emptyOutputs(types) as [Tensor, Tensor];
  const { quantMin, quantMax, symmetric } = attrs;
  for (let c = 0; c < scale.numel; c++) {
    const [low, high] = [min.data[c] ?? Infinity, max.data[c] ?? -Infinity];
    const seen = low !== Infinity || high !== -Infinity;
    const options = { quantMin, quantMax, preserveSparsity: symmetric };
    const chosen = chooseQuantizationParams(seen ? low : 0, seen ? high : 0, options);
    scale.data[c] = chosen.scale;
    zeroPoint.data[c] = chosen.zeroPoint;
  }
  return [scale, zeroPoint];
}

export const fusedMovingAvgObsFakeQuantOp = defineOp<FusedInputs, FusedAttrs>({
  name: "fusedMovingAvgObsFakeQuant",
  infer(inputs, attrs): FusedTypes {
    const [x, min, max, scale, zeroPoint] = inputs;
    requireFloat("fusedMovingAvgObsFakeQuant", x);
    const statistics = attrs.axis === null || !attrs.observerOn ? min.shape : [x.shape[attrs.axis]!];
    const channels = attrs.fakeQuantOn ? channelsOf(inputs, attrs.axis) : scale.shape;
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: min.dtype, shape: statistics },
      { dtype: max.dtype, shape: statistics },
      { dtype: scale.dtype, shape: channels },
      { dtype: zeroPoint.dtype, shape: channels },
    ];
  },
  forward([x, min, max, scale, zeroPoint], attrs, types) {
    const { axis, quantMin, quantMax, averagingConst } = attrs;
    const observes = attrs.observerOn && x.numel > 0;
    const observed = observes
      ? observeMinMaxOp.forward([x, min, max], { averagingConstant: averagingConst, axis }, types.slice(1, 3))
      : [min, max];
    const [newMin, newMax] = observed as [Tensor, Tensor];
    if (!attrs.fakeQuantOn) {
      return [
        new Tensor(x.dtype, x.shape, x.data.slice()),
        newMin.copy(),
        newMax.copy(),
        scale.copy(),
        zeroPoint.copy(),
      ];
    }
    const [newScale, newZeroPoint] = chooseFusedParameters(newMin, newMax, attrs, types.slice(3));
    const [y] = fakeQuantizeOp.forward([x, newScale, newZeroPoint], { quantMin, quantMax, axis }, types);
    return [y!, newMin, newMax, newScale, newZeroPoint];
  },
  backward(dy, { inputs: [x], outputs: [, , , scale, zeroPoint], attrs }) {
    const { axis, quantMin, quantMax, fakeQuantOn } = attrs;
    const dx = fakeQuantOn
      ? apply(fakeQuantizeGradientOp, [dy, x, scale!, zeroPoint!], { quantMin, quantMax, axis })
      : dy;
    return [dx, null, null, null, null];
  },
});

export interface FusedOptions {
  readonly observerOn?: boolean;
  readonly fakeQuantOn?: boolean;
  /** Share of the new batch in the running statistics. */
  readonly averagingConst?: number;
  readonly quantMin: number;
  readonly quantMax: number;
  /** The channel axis; left out for one scale in all. */
  readonly chAxis?: number | null;
  /** Keep the range symmetric around zero when it straddles it. */
  readonly symmetricQuant?: boolean;
}

/** What fusedMovingAvgObsFakeQuant reads and gives anew. */
export interface FusedState {
  /** 0-d, or [channels] ([0] before the first batch); +inf and -inf before the first batch. */
  readonly runningMin: Tensor;
  readonly runningMax: Tensor;
  readonly scale: Tensor;
  readonly zeroPoint: Tensor;
}

/**
 * One step of observe, choose, fake-quantize. Returns y (straight-through gradient to x) and the new state.
 * With fake quantization off, y is x and the parameters stay.
 * @throws DtypeError unless x is float; ShapeError when the number of channels changed.
 */
export function fusedMovingAvgObsFakeQuant(
  x: Tensor,
  state: FusedState,
  options: FusedOptions,
): FusedState & { readonly output: Tensor } {
  const {
    observerOn = true,
    fakeQuantOn = true,
    averagingConst = 0.01,
    chAxis = null,
    symmetricQuant = false,
  } = options;
  const { runningMin, runningMax, scale, zeroPoint } = state;
  const attrs: FusedAttrs = {
    observerOn, fakeQuantOn, averagingConst,
    quantMin: options.quantMin, quantMax: options.quantMax,
    axis: chAxis === null ? null : normalizeAxis("fusedMovingAvgObsFakeQuant", chAxis, x.rank),
    symmetric: symmetricQuant,
  }; // prettier-ignore
  const outputs = dispatch(fusedMovingAvgObsFakeQuantOp, [x, runningMin, runningMax, scale, zeroPoint], attrs);
  const [output, newMin, newMax, newScale, newZeroPoint] = outputs as readonly [Tensor, Tensor, Tensor, Tensor, Tensor];
  return {
    output: fakeQuantOn ? output : x,
    runningMin: newMin,
    runningMax: newMax,
    scale: newScale,
    zeroPoint: newZeroPoint,
  };
}
