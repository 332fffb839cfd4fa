/** examples/models/transformer-plain.ts with the diff of placeStubs applied by hand. */

import { gelu, softmax } from "fewbit";
import type { Tensor } from "fewbit";
import { LayerNorm, Linear, Module } from "fewbit/nn";
import { DeQuantStub, FloatFunctional, QuantStub } from "fewbit/quantization";

export class SelfAttention extends Module {
  query: Linear;
  key: Linear;
  value: Linear;
  out: Linear;
  matmul_0 = new FloatFunctional();
  mul_0 = new FloatFunctional();
  dequant_0 = new DeQuantStub();
  quant_0 = new QuantStub();
  matmul_1 = new FloatFunctional();
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

  private split(x: Tensor): Tensor {
    return x.reshape([x.size(0), x.size(1), this.heads, x.size(2) / this.heads]).transpose(1, 2);
  }

  forward(x: Tensor): Tensor {
    const [q, k, v] = [this.query, this.key, this.value].map((layer) => this.split(layer.forward(x)));
    const products = this.mul_0.mulScalar(this.matmul_0.matmul(q!, k!.transpose(2, 3)), this.scale);
    const weights = this.quant_0.forward(softmax(this.dequant_0.forward(products), 3));
    return this.out.forward(
      this.matmul_1
        .matmul(weights, v!)
        .transpose(1, 2)
        .reshape([x.size(0), x.size(1), x.size(2)]),
    );
  }
}

export class EncoderLayer extends Module {
  attention: SelfAttention;
  norm1: LayerNorm;
  linear1: Linear;
  linear2: Linear;
  norm2: LayerNorm;
  quant_0 = new QuantStub();
  add_0 = new FloatFunctional();
  add_1 = new FloatFunctional();
  dequant_0 = new DeQuantStub();
  quant_1 = new QuantStub();
  dequant_1 = new DeQuantStub();

  constructor(width: number, heads: number, hidden: number) {
    super();
    this.attention = new SelfAttention(width, heads);
    this.norm1 = new LayerNorm(width);
    this.linear1 = new Linear(width, hidden);
    this.linear2 = new Linear(hidden, width);
    this.norm2 = new LayerNorm(width);
  }

  forward(x: Tensor): Tensor {
    x = this.quant_0.forward(x);
    const y = this.norm1.forward(this.add_0.add(x, this.attention.forward(x)));
    const z = this.quant_1.forward(gelu(this.dequant_0.forward(this.linear1.forward(y))));
    return this.dequant_1.forward(this.norm2.forward(this.add_1.add(y, this.linear2.forward(z))));
  }
}
