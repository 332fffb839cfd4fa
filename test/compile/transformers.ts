/** Small transformers for tests of compiled graphs: of images, and of words with a mask. */

import { EncoderLayer } from "../../examples/models/transformer-plain.ts";
import {
  Conv2d, Embedding, LayerNorm, Linear, Module, ModuleList, Parameter, Softmax,
} from "../../src/nn/index.ts"; // prettier-ignore
import {
  add, cast, cat, expand, gelu, matmul, mul, permute, reshape, scaledDotProductAttention, select, softmax, split, sub, tanh, transpose, unsqueeze,
} from "../../src/ops/index.ts"; // prettier-ignore
import { randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

export const WIDTH = 24;
export const PATCHES = 9;
export const WORDS = 40;

/** Images [N, 3, 12, 12] to logits: patches by a convolution, a class token, positions, encoder layers, its state. */
export class VisionTransformer extends Module<[Tensor], Tensor> {
  patches = new Conv2d(3, WIDTH, 4, { stride: 4 });
  token = new Parameter(randn([1, 1, WIDTH]));
  positions = new Parameter(randn([1, PATCHES + 1, WIDTH]));
  layers = new ModuleList([new EncoderLayer(WIDTH, 3, 50), new EncoderLayer(WIDTH, 3, 50)]);
  norm = new LayerNorm(WIDTH);
  head = new Linear(WIDTH, 7);

  forward(x: Tensor): Tensor {
    const patches = permute(reshape(this.patches.forward(x), [x.size(0), WIDTH, -1]), [0, 2, 1]);
    let y = add(cat([expand(this.token, [x.size(0), 1, WIDTH]), patches], 1), this.positions);
    for (const layer of this.layers) y = (layer as EncoderLayer).forward(y);
    return this.head.forward(select(this.norm.forward(y), 1, 0));
  }
}

/** An encoder layer all of whose operators PyTorch has in integers, or as a table: softmax as a layer, for FX. */
export class IntegerEncoder extends Module<[Tensor], Tensor> {
  query = new Linear(WIDTH, WIDTH);
  key = new Linear(WIDTH, WIDTH);
  value = new Linear(WIDTH, WIDTH);
  softmax = new Softmax(-1);
  norm1 = new LayerNorm(WIDTH);
  linear1 = new Linear(WIDTH, 50);
  linear2 = new Linear(50, WIDTH);
  norm2 = new LayerNorm(WIDTH);

  forward(x: Tensor): Tensor {
    const heads = (layer: Linear): Tensor =>
      permute(reshape(layer.forward(x), [-1, PATCHES, 3, WIDTH / 3]), [0, 2, 1, 3]);
    const [q, k, v] = [this.query, this.key, this.value].map(heads);
    const weights = this.softmax.forward(mul(matmul(q!, transpose(k!, -1, -2)), 0.35));
    const mixed = reshape(permute(matmul(weights, v!), [0, 2, 1, 3]), [-1, PATCHES, WIDTH]);
    const y = this.norm1.forward(add(x, mixed));
    return this.norm2.forward(add(y, this.linear2.forward(gelu(this.linear1.forward(y)))));
  }
}

/** Words [N, L] and a mask [N, L] of int64, 1 where there is a word, to a pooled state and its classes' probabilities. */
export class TextTransformer extends Module<[Tensor, Tensor], Tensor> {
  words = new Embedding(WORDS, WIDTH);
  positions = new Embedding(16, WIDTH);
  norm = new LayerNorm(WIDTH);
  packed = new Linear(WIDTH, 3 * WIDTH);
  out = new Linear(WIDTH, WIDTH);
  pooler = new Linear(WIDTH, WIDTH);
  classes = new Linear(WIDTH, 5);

  forward(words: Tensor, mask: Tensor): Tensor {
    const [n, length] = words.shape as [number, number];
    const positions = this.positions.weight.slice(0, 0, length);
    const x = this.norm.forward(add(this.words.forward(words), positions));
    const [q, k, v] = split(this.packed.forward(x), WIDTH, -1).map((part) =>
      permute(reshape(part, [n, length, 2, WIDTH / 2]), [0, 2, 1, 3]),
    );
    const hidden = mul(sub(1, cast(unsqueeze(unsqueeze(mask, 1), 1), "float32")), -10000);
    const mixed = scaledDotProductAttention(q!, k!, v!, { attnMask: hidden });
    const y = add(x, this.out.forward(reshape(permute(mixed, [0, 2, 1, 3]), [n, length, WIDTH])));
    return softmax(this.classes.forward(tanh(this.pooler.forward(select(y, 1, 0)))), -1);
  }
}
