/**
 * Folds an eval-mode batch norm into the convolution or linear layer before it.
 *
 *     bn(conv(x, W) + b) = conv(x, W k) + (b - mean) k + beta      k = gamma / sqrt(var + eps)
 *
 * Done in float32 with the roundings of PyTorch's fuse_conv_bn_weights (torch/nn/utils/fusion.py).
 */

import { add, mul, sub } from "../../ops/arithmetic.ts";
import { reshape } from "../../ops/shape.ts";
import { rsqrt } from "../../ops/unary.ts";
import { noGrad, withTracer } from "../../tensor/context.ts";
import { full } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Node } from "../graph.ts";
import { any, constant, op, optionalConstant } from "../match.ts";
import type { Match } from "../match.ts";
import { rewritePass, rule } from "../rewrite.ts";
import type { Builder, Rewrite } from "../rewrite.ts";

/** Weight and bias with the batch norm inside; `axis` is the weight's output-channel axis. */
export function foldedParameters(
  weight: Tensor,
  bias: Tensor | null,
  norm: { gamma: Tensor | null; beta: Tensor | null; mean: Tensor; variance: Tensor; eps: number },
  axis = 0,
): { weight: Tensor; bias: Tensor } {
  return noGrad(() =>
    withTracer(null, () => {
      const root = rsqrt(add(norm.variance, norm.eps));
      const k = norm.gamma ? mul(norm.gamma, root) : root;
      const shape = weight.shape.map((size, i) => (i === axis ? size : 1));
      const centered = sub(bias ?? full(norm.mean.shape, 0, { dtype: weight.dtype }), norm.mean);
      const shifted = mul(mul(centered, root), norm.gamma ?? full(norm.mean.shape, 1, { dtype: weight.dtype }));
      return { weight: mul(weight, reshape(k, shape)), bias: norm.beta ? add(shifted, norm.beta) : shifted };
    }),
  );
}

const x = any();
const weight = constant();
const bias = optionalConstant();
const products = ["conv1d", "conv2d", "conv3d", "linear"];
/** Weights [in, out / groups, ...]; with groups the output channels are spread over two axes. */
const transposed = ["convTranspose1d", "convTranspose2d", "convTranspose3d"];
const isTransposed = ({ target }: Node): boolean => transposed.includes(target);
const product = op([...products, ...transposed], x, weight, bias)
  .usedOnce()
  .where((node) => !isTransposed(node) || node.attrs["groups"] === 1);
const gamma = optionalConstant();
const beta = optionalConstant();
const mean = constant();
const variance = constant();
const isEval = (node: Node): boolean => node.attrs["training"] === false;
const pattern = op("batchNorm", product, gamma, beta, mean, variance).where(isEval);

const fold: Rewrite = (match: Match, build: Builder) => {
  const eps = match.root.attrs["eps"] as number;
  const norm = {
    gamma: match.tensor(gamma),
    beta: match.tensor(beta),
    mean: match.tensor(mean)!,
    variance: match.tensor(variance)!,
    eps,
  };
  const layer = match.node(product);
  const { target, attrs } = layer;
  const folded = foldedParameters(match.tensor(weight)!, match.tensor(bias), norm, isTransposed(layer) ? 1 : 0);
  const args = [
    match.arg(x),
    build.constant(folded.weight, "folded_weight"),
    build.constant(folded.bias, "folded_bias"),
  ];
  const result = build.call(target, args, attrs);
  result.node.source = match.node(product).source;
  return result;
};

export const foldBatchNorm = rewritePass("fold-batch-norm", [rule("fold-batch-norm", pattern, fold)]);
