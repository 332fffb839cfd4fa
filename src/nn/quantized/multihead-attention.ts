/**
 * Quantized attention: the quantizable one with its projections converted.
 * Source: torch/ao/nn/quantized/modules/activation.py.
 */

import { chooseQParamsPerTensor, quantizePerTensor } from "../../ops/quantize/native.ts";
import { Tensor } from "../../tensor/tensor.ts";
import * as quantizable from "../quantizable/multihead-attention.ts";
import type { ConvertTools } from "../quantizable/tools.ts";

function quantizeLearned(x: Tensor | null): Tensor | null {
  if (!x) return null;
  const { scale, zeroPoint } = chooseQParamsPerTensor(x.detach());
  return quantizePerTensor(x.detach(), scale, zeroPoint, "quint8");
}

function withParametersOf(own: Tensor | null, given: Tensor | undefined): Tensor | null {
  if (!own || !given || own.dtype !== given.dtype) return own;
  return new Tensor(own.dtype, own.shape, own.data, given.qparams);
}

export class MultiheadAttention extends quantizable.MultiheadAttention {
  /** From observed attention; a learned key and value are quantized by their own range. */
  static fromObserved(observed: quantizable.MultiheadAttention, tools: ConvertTools): MultiheadAttention {
    const converted = tools.convert(observed);
    const { dropout, addZeroAttn, batchFirst } = observed;
    const attention = new MultiheadAttention(observed.embedDim, observed.numHeads, {
      dropout,
      addZeroAttn,
      batchFirst,
    });
    for (const [name, child] of converted.namedChildren()) attention.setChild(name, child);
    attention.biasK = quantizeLearned(observed.biasK);
    attention.biasV = quantizeLearned(observed.biasV);
    return attention.train(observed.training);
  }

  /** Learned keys and values take the quantization parameters of what is loaded. */
  override prepareLoad(state: ReadonlyMap<string, Tensor>): void {
    this.biasK = withParametersOf(this.biasK, state.get("bias_k"));
    this.biasV = withParametersOf(this.biasV, state.get("bias_v"));
  }
}
