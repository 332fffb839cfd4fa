/**
 * TensorFlow.js on its wasm backend as a candidate (SIMD, one thread). Floats only: it has no integer kernels. Inputs are
 * given and results taken as typed arrays, as the other candidates do.
 */

import path from "node:path";
import { createRequire } from "node:module";
import "@tensorflow/tfjs"; // registers the gradients of all operators
import * as tf from "@tensorflow/tfjs-core";
import { setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { Candidate, Prepared, Skipped } from "../lib/candidate.ts";
import type { BenchCase, ConvSizes } from "../lib/case.ts";
import { randomFloats } from "../lib/random.ts";
import { CLASSES, TRAINING, hasResNet20, networkImages, networkLabels } from "../models/inputs.ts";
import { pretrained } from "../models/networks.ts";
import { floatBias, floatWeights, convSignature } from "../models/onnx.ts";
import { TfResNet20 } from "./tfjs-resnet20.ts";

type Shape4 = [number, number, number, number];

/** Runs `make` on x once a call, reads the result, and frees everything else. */
function prepared(
  x: Float32Array,
  shape: readonly number[],
  make: (x: tf.Tensor) => tf.Tensor,
  output: (y: Float32Array) => Float32Array,
  constants: readonly tf.Tensor[],
): Prepared {
  const run = (): Float32Array => {
    const y = tf.tidy(() => make(tf.tensor(x, [...shape])));
    const values = y.dataSync() as Float32Array;
    y.dispose();
    return values;
  };
  return {
    call: () => void run(),
    output: () => output(run()),
    dispose: () => tf.dispose([...constants]),
  };
}

/** NCHW planes as NHWC pixels; the tensors are transposed before the clock runs, which is the best case for NHWC. */
function toPixels(values: Float32Array, [n, c, h, w]: Shape4): Float32Array {
  const plane = h * w;
  return values
    .map((_, i) => {
      const channel = i % c;
      const pixel = Math.floor(i / c) % plane;
      return values[(Math.floor(i / c / plane) * c + channel) * plane + pixel]!;
    })
    .subarray(0, n * c * plane);
}

function toPlanes(values: Float32Array, [, c, h, w]: Shape4): Float32Array {
  const plane = h * w;
  return values.map((_, i) => {
    const pixel = i % plane;
    const channel = Math.floor(i / plane) % c;
    return values[(Math.floor(i / plane / c) * plane + pixel) * c + channel]!;
  });
}

function gemm(rows: number, depth: number, columns: number): Prepared {
  const w = tf.tensor2d(floatWeights(depth * columns, depth), [depth, columns]);
  return prepared(
    randomFloats(rows * depth, 1),
    [rows, depth],
    (x) => tf.matMul(x, w),
    (y) => y,
    [w],
  );
}

function conv(sizes: ConvSizes): Prepared {
  const { inChannels, outChannels, kernel, stride, groups } = sizes;
  const { input, output } = convSignature(sizes);
  const depth = (inChannels / groups) * kernel ** 2;
  // [out, in, kh, kw] as [kh, kw, in, out]; depthwise as [kh, kw, channels, 1].
  const weights = tf.tensor(floatWeights(outChannels * depth, depth), [
    outChannels,
    inChannels / groups,
    kernel,
    kernel,
  ]);
  const filter = tf.transpose(weights, groups > 1 ? [2, 3, 0, 1] : [2, 3, 1, 0]);
  weights.dispose();
  const bias = tf.tensor1d(floatBias(outChannels));
  const pad = (kernel - 1) / 2;
  const edges: [number, number] = [pad, pad];
  const all = { strides: [stride, stride] as [number, number], bias, filter: filter as tf.Tensor4D };
  const run = (x: tf.Tensor4D): tf.Tensor => {
    if (groups === 1) return tf.fused.conv2d({ x, pad: [[0, 0], edges, edges, [0, 0]], ...all });
    // "same" pads as wanted for stride 1 only, and depthwise layers take no list of paddings.
    if (stride === 1) return tf.fused.depthwiseConv2d({ x, pad: "same", ...all });
    return tf.fused.depthwiseConv2d({ x: tf.pad(x, [[0, 0], edges, edges, [0, 0]]), pad: "valid", ...all });
  };
  return prepared(
    toPixels(
      randomFloats(
        input.reduce((a, b) => a * b, 1),
        1,
      ),
      input as Shape4,
    ),
    [1, sizes.size, sizes.size, inChannels],
    (x) => run(x as tf.Tensor4D),
    (y) => toPlanes(y, output as Shape4),
    [filter, bias],
  );
}

function network(batch: number): Prepared | Skipped {
  if (!hasResNet20) return { skipped: "only ResNet-20 is written for it" };
  const net = new TfResNet20(pretrained());
  const { values, shape } = networkImages(batch);
  const pixels = toPixels(values, shape as Shape4);
  return prepared(
    pixels,
    [batch, shape[2]!, shape[3]!, shape[1]!],
    (x) => net.infer(x as tf.Tensor4D),
    (y) => y,
    net.variables,
  );
}

function trainNetwork(batch: number): Prepared | Skipped {
  if (!hasResNet20) return { skipped: "only ResNet-20 is written for it" };
  const net = new TfResNet20(pretrained());
  const { values, shape } = networkImages(batch, "train");
  const pixels = toPixels(values, shape as Shape4);
  const labels = networkLabels(batch);
  const { lr, momentum } = TRAINING.optimizer;
  const optimizer = tf.train.momentum(lr, momentum);
  const step = (): number =>
    tf.tidy(() => {
      const x = tf.tensor4d(pixels, [batch, shape[2]!, shape[3]!, shape[1]!]);
      const target = tf.oneHot(tf.tensor1d(labels, "int32"), CLASSES);
      const loss = optimizer.minimize(() => net.loss(x, target), true, net.trained)!;
      return loss.dataSync()[0]!;
    });
  const losses = Float32Array.from({ length: TRAINING.comparedSteps }, step);
  return {
    call: () => void step(),
    output: () => losses,
    dispose: () => {
      optimizer.dispose();
      tf.dispose(net.variables);
    },
  };
}

class TensorFlowJs implements Candidate {
  describe(): string {
    const simd = String(tf.env().get("WASM_HAS_SIMD_SUPPORT"));
    return `TensorFlow.js ${tf.version_core}, backend ${tf.getBackend()}, SIMD ${simd}, 1 thread`;
  }

  prepare({ work, precision }: BenchCase): Promise<Prepared | Skipped> {
    if (precision === "int8") return Promise.resolve({ skipped: "has no integer kernels" });
    switch (work.kind) {
      case "gemm":
        return Promise.resolve(gemm(work.rows, work.depth, work.columns));
      case "conv":
        return Promise.resolve(conv(work.sizes));
      case "network":
        return Promise.resolve(network(work.batch));
      case "train":
        return Promise.resolve(trainNetwork(work.batch));
      default:
        return Promise.resolve({ skipped: "the case is about fewbit alone" });
    }
  }
}

export async function tfjs(): Promise<Candidate> {
  const folder = path.dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"));
  setWasmPaths(`${folder}/`);
  setThreadsCount(1);
  await tf.setBackend("wasm");
  await tf.ready();
  return new TensorFlowJs();
}
