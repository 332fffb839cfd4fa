/**
 * The PT2E Quantizer that writes decisions onto a graph as annotations.
 *
 *     product      its input, weight and bias; its result, or that of the clamp behind it
 *     add, mul     both inputs, its result (or the clamp's)
 *     move, average, cat    one observer for all inputs and the result, so that integers pass unchanged
 *     activation   its input, its result; sigmoid's has fixed parameters
 */

import type { Graph, Node, Value } from "../../graph/graph.ts";
import { Value as GraphValue } from "../../graph/graph.ts";
import {
  DerivedQuantizationSpec,
  FixedQParamsQuantizationSpec,
  QuantizationAnnotation,
  Quantizer,
  SharedQuantizationSpec,
  annotate,
} from "../../quantization/pt2e/index.ts";
import type { QSpec, QuantizationSpec } from "../../quantization/pt2e/index.ts";
import type { ObserverBase } from "../../quantization/observers/index.ts";
import { fromArray, zeros } from "../../tensor/create.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { Decision } from "./decide.ts";
import { weightAxis } from "./operators.ts";
import { activationDType, activationSpec, dynamicSpec, weightSpec } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** sx * sw a channel, in float32, as every kernel multiplies them. */
function biasParameters([input, weight]: readonly ObserverBase[]) {
  const sx = input!.calculateQParams().scale.item();
  const scales = Float32Array.from(weight!.calculateQParams().scale.data, (sw) => sx * sw);
  return { scale: fromArray(scales, [scales.length]), zeroPoint: zeros([scales.length], { dtype: "int64" }) };
}

export class OnnxQuantizer extends Quantizer {
  private readonly settings: Settings;
  private readonly decideNodes: (graph: Graph) => ReadonlyMap<Node, Decision>;
  private readonly activation: QuantizationSpec;

  constructor(settings: Settings, decideNodes: (graph: Graph) => ReadonlyMap<Node, Decision>) {
    super();
    this.settings = settings;
    this.decideNodes = decideNodes;
    this.activation = settings.method === "dynamic" ? dynamicSpec(settings) : activationSpec(settings);
  }

  override annotate(graph: Graph): void {
    for (const [node, decision] of this.decideNodes(graph)) if (decision.quantized) this.annotateNode(node, decision);
  }

  private annotateNode(node: Node, decision: Decision): void {
    switch (decision.kind) {
      case "conv":
      case "convTranspose":
      case "linear":
        return this.layer(node, decision);
      case "matmul":
      case "add":
      case "mul":
        return this.write(node, decision, new Map(node.inputs.map((value) => [value, this.activation])));
      case "activation":
        return this.write(node, decision, new Map([[node.inputs[0]!, this.activation]]), this.resultOf(node));
      case "move":
      case "average":
      case "cat":
        return decision.why.startsWith("done on") ? undefined : this.passing(node);
      case null:
        return undefined;
    }
  }

  private layer(node: Node, decision: Decision): void {
    const [x, weight, bias] = node.args as [Value, Value, Value | null];
    const inputs = new Map<Value, QSpec>([
      [x, this.activation],
      [weight, weightSpec(this.settings, weightAxis[node.target]!)],
    ]);
    const { target, activations, method } = this.settings;
    if (bias instanceof GraphValue && target.integerBias && activations.bits === 8 && method === "static")
      inputs.set(bias, this.biasSpec(node, x, weight));
    this.write(node, decision, inputs);
  }

  private biasSpec(node: Node, x: Value, weight: Value): QSpec {
    const { min, max } = dtypeInfo.int32;
    const { perChannel } = this.settings.weights;
    return new DerivedQuantizationSpec({
      derivedFrom: [
        [x, node],
        [weight, node],
      ],
      deriveQParamsFn: biasParameters,
      dtype: "int32",
      quantMin: min,
      quantMax: max,
      qscheme: perChannel ? "per_channel_symmetric" : "per_tensor_symmetric",
      ...(perChannel ? { chAxis: 0 } : {}),
    });
  }

  private write(
    node: Node,
    { clamp, floatResult }: Decision,
    inputQspecMap: ReadonlyMap<Value, QSpec>,
    result: QSpec = this.activation,
  ): void {
    const output = floatResult ? null : result;
    annotate(node, new QuantizationAnnotation({ inputQspecMap, outputQspec: clamp ? null : output }));
    if (clamp) annotate(clamp, new QuantizationAnnotation({ outputQspec: output }));
  }

  /** sigmoid gives 0..1: unsigned integers of all 8 bits, whatever the data. */
  private resultOf({ target }: Node): QSpec {
    const dtype = activationDType(this.settings);
    const { min, max } = dtypeInfo[dtype];
    if (target !== "sigmoid" || this.settings.activations.symmetric) return this.activation;
    return new FixedQParamsQuantizationSpec({
      dtype,
      scale: 1 / (max - min + 1),
      zeroPoint: min,
      quantMin: min,
      quantMax: max,
      qscheme: "per_tensor_affine",
    });
  }

  private passing(node: Node): void {
    const [first, ...others] = [...new Set(node.inputs)];
    const shared = new SharedQuantizationSpec([first!, node]);
    const inputs = new Map<Value, QSpec>([
      [first!, this.activation],
      ...others.map((value) => [value, shared] as const),
    ]);
    annotate(node, new QuantizationAnnotation({ inputQspecMap: inputs, outputQspec: shared }));
  }
}
