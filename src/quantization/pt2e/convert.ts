/**
 * From observers to quantize and dequantize nodes: the one conversion of both graph modes.
 *
 * Static parameters become literals (per tensor) or stored tensors (per channel); dynamic ones are chosen by a node
 * when the graph runs. Source: torch/ao/quantization/fx/convert.py, torchao/quantization/pt2e/convert.py.
 */

import { QuantError } from "../../errors.ts";
import { describe } from "../../graph/graph.ts";
import type { Argument, Graph, Node, Value } from "../../graph/graph.ts";
import { Builder } from "../../graph/rewrite.ts";
import type { AnyModule } from "../../nn/module.ts";
import { decomposedChooseQParamsOp } from "../../ops/quantize/choose.ts";
import {
  decomposedDequantizePerChannelOp,
  decomposedDequantizePerTensorOp,
  decomposedQuantizePerChannelOp,
  decomposedQuantizePerTensorOp,
} from "../../ops/quantize/decomposed.ts";
import { castOp } from "../../ops/unary.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import { dtypeInfo, isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { FakeQuantizeBase } from "../fake-quantize/base.ts";
import { ObserverBase } from "../observers/base.ts";
import type { CalculatedQParams } from "../observers/base.ts";

/** What conversion reads of an observer or fake-quantize. */
export interface Observed {
  readonly module: ObserverBase | FakeQuantizeBase;
  readonly dtype: DType;
  readonly qscheme: QScheme;
  readonly quantMin: number;
  readonly quantMax: number;
  readonly chAxis: number;
  readonly isDynamic: boolean;
  readonly eps: number;
  calculateQParams(): CalculatedQParams;
}

/** The properties an observer or fake-quantize may have. */
type Settings = Partial<Omit<Observed, "eps" | "module">> & { readonly eps?: Tensor | number | null };

/** The settings of an inserted module; null for modules that are no observers. */
export function observedOf(module: AnyModule | undefined): Observed | null {
  if (!(module instanceof ObserverBase || module instanceof FakeQuantizeBase)) return null;
  const inner = "activationPostProcess" in module ? (module.activationPostProcess as Settings) : null;
  const own = module as unknown as Settings;
  const dtype = (own.dtype ?? inner?.dtype)!;
  const eps = own.eps ?? inner?.eps;
  return {
    module,
    dtype,
    qscheme: own.qscheme ?? inner?.qscheme ?? "per_tensor_affine",
    quantMin: inner?.quantMin ?? own.quantMin ?? dtypeInfo[dtype].min,
    quantMax: inner?.quantMax ?? own.quantMax ?? dtypeInfo[dtype].max,
    chAxis: own.chAxis ?? inner?.chAxis ?? 0,
    isDynamic: own.isDynamic ?? inner?.isDynamic ?? false,
    eps: (typeof eps === "number" ? eps : eps?.item()) ?? EPS,
    calculateQParams: () => module.calculateQParams(),
  };
}

/** Whether a graph computes with integers already, in either graph mode. */
export function isConverted(graph: Graph): boolean {
  return graph.nodes.some(({ target }) => /(^d|D)equantize|^quantized/.test(target));
}

/** Makes the quantize and dequantize nodes for one observed value. */
export type PairBuilder = (graph: Graph, node: Node, observed: Observed, build: Builder) => Argument;

export interface ConvertOptions {
  /** What to do with observers that saw nothing: refuse (default), or PyTorch's way, scale 1 and zero point 0. */
  readonly uninitializedObservers?: "error" | "warn";
}

/** The parameters of a static observer. @throws QuantError when it saw nothing, naming the node. */
export function staticQParams(node: Node, observed: Observed, options: ConvertOptions): CalculatedQParams {
  const qparams = observed.calculateQParams();
  if (qparams.observed) return qparams;
  const watched = node.inputs[0];
  const fields = { watches: watched ? describe(watched.node) : "", observer: observed.module.constructor.name };
  if (options.uninitializedObservers === "warn") {
    console.warn(`fewbit: ${fields.observer} at ${fields.watches} saw no data; its scale is 1 and its zero point 0`);
    return qparams;
  }
  throw new QuantError(
    "convert",
    fields,
    "an observer saw no data, so its range is not known",
    'Calibrate first: call the prepared model on real inputs; or pass { uninitializedObservers: "warn" }',
  );
}

/** The decomposed operators of exported graphs (PT2E, ONNX QDQ). */
export function decomposedPairs(options: ConvertOptions): PairBuilder {
  return (_graph, node, observed, build) => {
    const { dtype, quantMin, quantMax, qscheme, isDynamic, eps } = observed;
    const value = node.args[0] as Value;
    if (isFloat(dtype))
      return dtype === "float32"
        ? value
        : build.call(castOp, [build.call(castOp, [value], { dtype })], { dtype: "float32" });
    const outDType = value.type?.dtype ?? "float32";
    if (isDynamic) {
      const symmetric = qscheme === "per_tensor_symmetric";
      const [scale, zeroPoint] = build.callMany(decomposedChooseQParamsOp, [value], {
        quantMin,
        quantMax,
        eps,
        dtype,
        symmetric,
      });
      const q = build.call(decomposedQuantizePerTensorOp, [value, scale!, zeroPoint!], {
        quantMin,
        quantMax,
        dtype,
        axis: null,
      });
      return build.call(decomposedDequantizePerTensorOp, [q, scale!, zeroPoint!], {
        quantMin,
        quantMax,
        dtype,
        axis: null,
        outDType,
      });
    }
    const qparams = staticQParams(node, observed, options);
    const axis = isPerChannelScheme(qscheme) ? observed.chAxis : null;
    const scale = axis === null ? qparams.scale.item() : build.constant(qparams.scale.detach(), "_scale");
    const zeroPoint =
      axis === null ? qparams.zeroPoint.item() : build.constant(qparams.zeroPoint.detach(), "_zero_point");
    const [quantizeOp, dequantizeOp] =
      axis === null
        ? [decomposedQuantizePerTensorOp, decomposedDequantizePerTensorOp]
        : [decomposedQuantizePerChannelOp, decomposedDequantizePerChannelOp];
    const q = build.call(quantizeOp, [value, scale, zeroPoint], { quantMin, quantMax, dtype, axis });
    return build.call(dequantizeOp, [q, scale, zeroPoint], { quantMin, quantMax, dtype, axis, outDType });
  };
}

/** Replaces every observer and fake-quantize node; those without parameters (placeholders in float) just go. */
export function replaceObservers(graph: Graph, pairs: PairBuilder): void {
  for (const node of [...graph.nodes]) {
    const observed = node.kind === "module" ? observedOf(graph.modules.get(node.target)) : null;
    if (!observed) continue;
    graph.replaceUses(node.output, pairs(graph, node, observed, new Builder(graph, node)));
    graph.remove(node);
  }
  graph.collectGarbage();
}
