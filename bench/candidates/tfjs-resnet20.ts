/**
 * ResNet-20 (examples/models/resnet20.ts) in TensorFlow.js operators, NHWC, from the same parameters. For inference batch norms are
 * folded into fused convolutions. The wasm backend has no kernel for the gradient of a convolution's weights, so training
 * computes it as what it is, a convolution of the input by the output's gradient; strided slices, which have no
 * gradient there, are plain slices of a reshaped tensor.
 */

import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "../../src/tensor/tensor.ts";

const EPSILON = 1e-5;
const PYTORCH_MOMENTUM = 0.1;
const STAGES = [
  { channels: 16, stride: 1 },
  { channels: 32, stride: 2 },
  { channels: 64, stride: 2 },
];
const BLOCKS = 3;

interface Layer {
  readonly filter: tf.Variable<tf.Rank.R4>;
  readonly gamma: tf.Variable;
  readonly beta: tf.Variable;
  readonly mean: tf.Variable;
  readonly variance: tf.Variable;
  readonly stride: number;
  /** The convolution with its batch norm folded in. */
  readonly folded: { readonly filter: tf.Tensor4D; readonly bias: tf.Tensor1D };
}

/** Input [N, H, W, C] by the gradient of the output [N, OH, OW, K]: the gradient of a 3x3 filter, padding 1. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, stride: number): tf.Tensor4D {
  const images: tf.Tensor4D = tf.transpose(x, [3, 1, 2, 0]);
  const filters: tf.Tensor4D = tf.transpose(dy, [1, 2, 0, 3]);
  const full = tf.conv2d(images, filters, 1, 1, "NHWC", stride);
  return tf.transpose(tf.slice(full, [0, 0, 0, 0], [-1, 3, 3, -1]), [1, 2, 0, 3]);
}

/** 3x3, padding 1, with gradients that the wasm backend can compute. */
function conv3x3(x: tf.Tensor4D, filter: tf.Tensor4D, stride: number): tf.Tensor4D {
  const op = tf.customGrad((...args) => {
    const [input, weights, save] = args as unknown as [tf.Tensor4D, tf.Tensor4D, (tensors: tf.Tensor[]) => void];
    save([input, weights]);
    return {
      value: tf.conv2d(input, weights, stride, 1),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [kept, kernel] = saved as [tf.Tensor4D, tf.Tensor4D];
        const gradient = dy as tf.Tensor4D;
        return [tf.conv2dTranspose(gradient, kernel, kept.shape, stride, 1), filterGradient(kept, gradient, stride)];
      },
    };
  });
  return op(x, filter);
}

/** Every `stride`-th pixel, with zero channels on both sides. */
function shortcut(x: tf.Tensor4D, channels: number, stride: number): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  if (c === channels) return x;
  const split = tf.reshape(x, [(n * h) / stride, stride, w / stride, stride * c]);
  const kept = tf.reshape(tf.slice(split, [0, 0, 0, 0], [-1, 1, -1, c]), [n, h / stride, w / stride, c]);
  const side = (channels - c) / 2;
  return tf.pad(kept as tf.Tensor4D, [[0, 0], [0, 0], [0, 0], [side, side]]); // prettier-ignore
}

export class TfResNet20 {
  private readonly layers = new Map<string, Layer>();
  private readonly weight: tf.Variable<tf.Rank.R2>;
  private readonly bias: tf.Variable;

  constructor(tensors: ReadonlyMap<string, Tensor>) {
    const read = (name: string): tf.Tensor => {
      const { data, shape } = tensors.get(name)!;
      return tf.tensor(data, [...shape]);
    };
    this.addLayer("conv1", "bn1", 1, read);
    this.eachBlock((block, _, stride) => {
      this.addLayer(`${block}.conv1`, `${block}.bn1`, stride, read);
      this.addLayer(`${block}.conv2`, `${block}.bn2`, 1, read);
    });
    this.weight = tf.variable(tf.transpose(read("linear.weight"))) as tf.Variable<tf.Rank.R2>;
    this.bias = tf.variable(read("linear.bias"));
  }

  private eachBlock(body: (block: string, channels: number, stride: number) => void): void {
    STAGES.forEach(({ channels, stride }, stage) => {
      for (let i = 0; i < BLOCKS; i++) body(`layer${stage + 1}.${i}`, channels, i === 0 ? stride : 1);
    });
  }

  private addLayer(conv: string, norm: string, stride: number, read: (name: string) => tf.Tensor): void {
    const filter = tf.variable(tf.transpose(read(`${conv}.weight`), [2, 3, 1, 0])) as tf.Variable<tf.Rank.R4>;
    const [gamma, beta] = [tf.variable(read(`${norm}.weight`)), tf.variable(read(`${norm}.bias`))];
    const mean = tf.variable(read(`${norm}.running_mean`), false);
    const variance = tf.variable(read(`${norm}.running_var`), false);
    const scale = tf.div(gamma, tf.sqrt(tf.add(variance, EPSILON)));
    const folded = {
      filter: tf.mul<tf.Tensor4D>(filter, scale),
      bias: tf.sub<tf.Tensor1D>(beta, tf.mul(mean, scale)),
    };
    this.layers.set(conv, { filter, gamma, beta, mean, variance, stride, folded });
  }

  /** What training changes. */
  get trained(): tf.Variable[] {
    return [...this.layers.values()]
      .flatMap(({ filter, gamma, beta }) => [filter as tf.Variable, gamma, beta])
      .concat([this.weight, this.bias]);
  }

  /** Everything that must be disposed of. */
  get variables(): tf.Tensor[] {
    const kept = [...this.layers.values()].flatMap(({ mean, variance, folded }): tf.Tensor[] => [
      mean,
      variance,
      folded.filter,
      folded.bias,
    ]);
    return [...this.trained, ...kept];
  }

  /** Logits [N, 10] of images [N, 32, 32, 3] in evaluation mode. */
  infer(images: tf.Tensor4D): tf.Tensor {
    const run = (name: string, x: tf.Tensor4D, isRectified: boolean): tf.Tensor4D => {
      const { folded, stride } = this.layers.get(name)!;
      return tf.fused.conv2d({
        x, ...folded, strides: stride, pad: 1, ...(isRectified && { activation: "relu" as const }),
      }); // prettier-ignore
    };
    let x = run("conv1", images, true);
    this.eachBlock((block, channels, stride) => {
      const y = run(`${block}.conv2`, run(`${block}.conv1`, x, true), false);
      x = tf.relu(tf.add(y, shortcut(x, channels, stride)));
    });
    return this.classify(x);
  }

  /** Mean cross entropy in training mode; running statistics are updated. */
  loss(images: tf.Tensor4D, target: tf.Tensor): tf.Scalar {
    let x = tf.relu(this.normalized("conv1", images));
    this.eachBlock((block, channels, stride) => {
      const inner = tf.relu(this.normalized(`${block}.conv1`, x));
      const y = this.normalized(`${block}.conv2`, inner);
      x = tf.relu(tf.add(y, shortcut(x, channels, stride)));
    });
    return tf.neg(tf.mean(tf.sum(tf.mul(target, tf.logSoftmax(this.classify(x))), 1)));
  }

  private normalized(name: string, x: tf.Tensor4D): tf.Tensor4D {
    const { filter, gamma, beta, mean, variance, stride } = this.layers.get(name)!;
    const y = conv3x3(x, filter, stride);
    const moments = tf.moments(y, [0, 1, 2]);
    const count = y.size / y.shape[3];
    const mixed = (old: tf.Tensor, now: tf.Tensor): tf.Tensor =>
      tf.add(tf.mul(old, 1 - PYTORCH_MOMENTUM), tf.mul(now, PYTORCH_MOMENTUM));
    mean.assign(mixed(mean, moments.mean));
    variance.assign(mixed(variance, tf.mul(moments.variance, count / (count - 1))));
    const scale = tf.mul(gamma, tf.rsqrt(tf.add(moments.variance, EPSILON)));
    return tf.add(tf.mul(tf.sub(y, moments.mean), scale), beta);
  }

  private classify(x: tf.Tensor4D): tf.Tensor2D {
    return tf.add(tf.matMul(tf.mean(x, [1, 2]) as unknown as tf.Tensor2D, this.weight), this.bias);
  }
}
