/**
 * A transformer encoder layer (Vaswani et al., 2017), written plainly: projections, scaled products, softmax, two
 * residual sums.
 */

import { add, gelu, matmul, mul, softmax } from "fewbit";
import type { Tensor } from "fewbit";
import { LayerNorm, Linear, Module } from "fewbit/nn";

export class SelfAttention extends Module {
  query: Linear;
  key: Linear;
  value: Linear;
  out: Linear;
  private readonly heads: number;
  private readonly scale: number;

  constructor(width: number, heads: number) {
    super();
    this.query = new Linear(width, width);
    this.key = new Linear(width, width);
    this.value = new Linear(width, width);
    this.out = new Linear(width, width);
    this.heads = heads;
    this.scale = 1 / Math.sqrt(width / heads);
  }

  /** [N, L, E] to [N, heads, L, E / heads] */
  private split(x: Tensor): Tensor {
    return x.reshape([x.size(0), x.size(1), this.heads, x.size(2) / this.heads]).transpose(1, 2);
  }

  forward(x: Tensor): Tensor {
    const [q, k, v] = [this.query, this.key, this.value].map((layer) => this.split(layer.forward(x)));
    const weights = softmax(mul(matmul(q!, k!.transpose(2, 3)), this.scale), 3);
    return this.out.forward(
      matmul(weights, v!)
        .transpose(1, 2)
        .reshape([x.size(0), x.size(1), x.size(2)]),
    );
  }
}

/** [N, L, width] to the same shape. */
export class EncoderLayer extends Module {
  attention: SelfAttention;
  norm1: LayerNorm;
  linear1: Linear;
  linear2: Linear;
  norm2: LayerNorm;

  constructor(width: number, heads: number, hidden: number) {
    super();
    this.attention = new SelfAttention(width, heads);
    this.norm1 = new LayerNorm(width);
    this.linear1 = new Linear(width, hidden);
    this.linear2 = new Linear(hidden, width);
    this.norm2 = new LayerNorm(width);
  }

  forward(x: Tensor): Tensor {
    const y = this.norm1.forward(add(x, this.attention.forward(x)));
    return this.norm2.forward(add(y, this.linear2.forward(gelu(this.linear1.forward(y)))));
  }
}
