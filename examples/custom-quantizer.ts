/**
 * A Quantizer for an accelerator that does not exist: Pebble multiplies unsigned bytes with signed bytes, adds int32
 * biases, pools bytes, and has a sigmoid table. docs/writing-a-quantizer.md explains it step by step.
 *
 *   node --conditions=fewbit-source examples/custom-quantizer.ts
 */

import { add, full, manualSeed, mul, randn, sigmoid } from "fewbit";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { capture } from "fewbit/graph";
import type { Graph, Node, Value } from "fewbit/graph";
import { Conv2d, MaxPool2d, Module, ReLU } from "fewbit/nn";
import { HistogramObserver, PerChannelMinMaxObserver } from "fewbit/quantization";
import {
  DerivedQuantizationSpec,
  FixedQParamsQuantizationSpec,
  QuantizationAnnotation,
  QuantizationSpec,
  Quantizer,
  SharedQuantizationSpec,
  annotate,
  annotationOf,
  convertPt2e,
  findSequentialPartitions,
  preparePt2e,
} from "fewbit/quantization/pt2e";
import type { QSpec } from "fewbit/quantization/pt2e";

// 1. What the hardware computes with: unsigned activations, signed weights by channel.
const byte = { dtype: "uint8", quantMin: 0, quantMax: 255, qscheme: "per_tensor_affine" } as const;
const activation = new QuantizationSpec({ ...byte, observerOrFakeQuantCtr: HistogramObserver });
const weight = new QuantizationSpec({
  dtype: "int8", quantMin: -127, quantMax: 127, qscheme: "per_channel_symmetric", chAxis: 0, observerOrFakeQuantCtr: PerChannelMinMaxObserver,
}); // prettier-ignore
const probability = new FixedQParamsQuantizationSpec({ ...byte, scale: 1 / 256, zeroPoint: 0 });

/** An int32 bias in units of one product: its scale follows from the two others. */
const bias = (node: Node, x: Value, w: Value): DerivedQuantizationSpec =>
  new DerivedQuantizationSpec({
    dtype: "int32", quantMin: -(2 ** 31), quantMax: 2 ** 31 - 1, qscheme: "per_channel_symmetric", chAxis: 0,
    derivedFrom: [[x, node], [w, node]],
    deriveQParamsFn(observers) {
      const [ofX, ofWeight] = observers.map((observer) => observer.calculateQParams().scale);
      const scale = mul(ofX!, ofWeight!);
      return { scale, zeroPoint: full(scale.shape, 0, { dtype: "int32" }) };
    },
  }); // prettier-ignore

export class PebbleQuantizer extends Quantizer {
  override annotate(graph: Graph): void {
    // 2. Longer patterns first: a relu behind a convolution costs nothing, so only its result is quantized.
    for (const chain of [
      ...findSequentialPartitions(graph, [["conv2d"], ["relu"]]),
      ...findSequentialPartitions(graph, [["conv2d"]]),
    ]) {
      const [conv, last] = [chain[0]!, chain.at(-1)!];
      if (annotationOf(conv)) continue;
      const [x, w, b] = conv.inputs;
      if (!x || !w) continue;
      const inputs = new Map<Value, QSpec>().set(x, activation).set(w, weight);
      if (b) inputs.set(b, bias(conv, x, w));
      if (conv !== last) annotate(last, new QuantizationAnnotation({ outputQspec: activation }));
      annotate(
        conv,
        new QuantizationAnnotation({ inputQspecMap: inputs, outputQspec: conv === last ? activation : null }),
      );
    }
    for (const node of graph.nodes) {
      const [x] = node.inputs;
      if (!x) continue;
      // 3. Pooling picks bytes: the output has the input's scale, by reference to that edge.
      if (node.target === "maxPool2d") {
        annotate(
          node,
          new QuantizationAnnotation({
            inputQspecMap: new Map([[x, activation]]),
            outputQspec: new SharedQuantizationSpec([x, node]),
          }),
        );
      }
      // 4. The table's output range is wired in.
      if (node.target === "sigmoid")
        annotate(
          node,
          new QuantizationAnnotation({ inputQspecMap: new Map([[x, activation]]), outputQspec: probability }),
        );
    }
  }

  // 5. What the hardware cannot do is said before any time is spent on calibration.
  override validate(graph: Graph): void {
    const wide = graph.nodes.find(({ target, attrs }) => target === "conv2d" && attrs["groups"] !== 1);
    if (wide) throw new Error(`Pebble has no grouped convolutions, but ${wide.source.path} is one`);
  }
}

class Net extends Module {
  conv1 = new Conv2d(1, 8, 3, { padding: 1 });
  relu = new ReLU();
  pool = new MaxPool2d(2);
  conv2 = new Conv2d(8, 4, 3);
  forward(x: Tensor): Tensor {
    return sigmoid(this.conv2.forward(this.pool.forward(this.relu.forward(this.conv1.forward(x)))));
  }
}

manualSeed(1);
const model = new Net().eval();
const images = randn([64, 1, 12, 12]);
const prepared = preparePt2e(capture(model, [images]), new PebbleQuantizer());
prepared.forward(images);
const converted = convertPt2e(prepared);
console.log(converted.toString());
const executable = compile(converted, { fallback: "reference" });
const error = add(executable.runOne(images), mul(model.forward(images), -1));
console.log(`largest error ${Math.max(...error.data.map(Math.abs)).toFixed(4)} of a probability, over ${error.numel}`);
executable.dispose();
