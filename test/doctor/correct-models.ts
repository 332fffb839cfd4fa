/** Networks without a mistake: doctor must be silent. */

import { gelu, maxPool2d, relu } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";
import { placeStubs } from "../../src/doctor/index.ts";
import * as q from "../../src/quantization/entry.ts";
import { zeros } from "../../src/tensor/create.ts";
import { DigitsNet, digitsFusions } from "../../examples/models/digits-net.ts";
import { InceptionBlock } from "../../examples/models/inception-plain.ts";
import { SequenceClassifier } from "../../examples/models/lstm-plain.ts";
import { MobileNetV2 } from "../../examples/models/mobilenet-plain.ts";
import { ResNet20 as PlainResNet20 } from "../../examples/models/resnet20-plain.ts";
import { ResNet20, fusionsOf } from "../../examples/models/resnet20.ts";
import { SqueezeNet } from "../../examples/models/squeezenet-plain.ts";
import { EncoderLayer } from "../../examples/models/transformer-plain.ts";
import { Good, ready, trainable } from "./broken-models.ts";

class TwoSums extends Good {
  sum2 = new q.FloatFunctional();
  override body(x: Tensor): Tensor {
    return this.sum2.add(super.body(x), x);
  }
}
class Scalars extends Good {
  scale = new q.FloatFunctional();
  override body(x: Tensor): Tensor {
    return this.scale.mulScalar(this.scale.addScalar(super.body(x), 1), 0.5);
  }
}
class Join extends Good {
  join = new q.FloatFunctional();
  override fc: nn.Module = new nn.Linear(8, 3);
  override head(x: Tensor): Tensor {
    return super.head(this.join.cat([x, x], 1));
  }
}
class Island extends Good {
  out = new q.DeQuantStub();
  back = new q.QuantStub();
  override body(x: Tensor): Tensor {
    return this.back.forward(gelu(this.out.forward(super.body(x))));
  }
}
class Functions extends Good {
  override body(x: Tensor): Tensor {
    return relu(maxPool2d(super.body(x), 3, { stride: 1, padding: 1 }));
  }
}
class SharedPool extends Good {
  override body(x: Tensor): Tensor {
    const act = this.pool.forward(super.body(x));
    return this.pool.forward(act);
  }
}
class FloatTail extends Good {
  tail = new nn.Linear(3, 2);
  override forward(x: Tensor): Tensor {
    return this.tail.forward(super.forward(x));
  }
}

function placed(model: nn.Module, shape: readonly number[]): nn.Module {
  const { model: ready } = placeStubs(model.eval(), [zeros(shape)]);
  ready.qconfig = q.getDefaultQConfig("x86");
  return ready as unknown as nn.Module;
}

function wrapped(): nn.Module {
  const conv = new nn.Conv2d(4, 4, 1).eval();
  conv.qconfig = q.getDefaultQConfig("qnnpack");
  const model = new q.QuantWrapper(conv).eval();
  model.qconfig = conv.qconfig;
  return model;
}

function tail(): nn.Module {
  const model = ready(new FloatTail());
  model.tail.qconfig = null;
  return model;
}

function fused(model: nn.Module, lists: string[][], backend: q.QuantBackend): nn.Module {
  const done = q.fuseModules(model.eval(), lists);
  done.qconfig = q.getDefaultQConfig(backend);
  return done;
}

function calibrated(): nn.Module {
  const prepared = q.prepare(ready(new Good()));
  prepared.forward(zeros([2, 4, 6, 6]));
  return prepared;
}

const small = [2, 4, 6, 6];

export const correct: readonly (readonly [name: string, model: () => nn.Module, shape: readonly number[]])[] = [
  ["a small network", () => ready(new Good()), small],
  ["the same for training", () => trainable(new Good()), small],
  ["prepared", () => q.prepare(ready(new Good())), small],
  ["calibrated", calibrated, small],
  ["prepared for training", () => q.prepareQat(trainable(new Good())), small],
  ["two sums with a functional each", () => ready(new TwoSums()), small],
  ["scalar forms of a functional", () => ready(new Scalars()), small],
  ["a join", () => ready(new Join()), small],
  ["a float island", () => ready(new Island()), small],
  ["functions that take integers", () => ready(new Functions()), small],
  ["a pool used twice", () => ready(new SharedPool()), small],
  ["a float tail", tail, small],
  ["a wrapper", wrapped, small],
  ["the digits network", () => fused(new DigitsNet(), digitsFusions, "x86"), [2, 1, 8, 8]],
  ["ResNet-20 with stubs", () => fused(new ResNet20(), fusionsOf(), "qnnpack"), [2, 3, 16, 16]],
  ["placed ResNet-20", () => placed(new PlainResNet20(), [2, 3, 16, 16]), [2, 3, 16, 16]],
  ["placed MobileNetV2", () => placed(new MobileNetV2(), [2, 3, 32, 32]), [2, 3, 32, 32]],
  ["placed SqueezeNet", () => placed(new SqueezeNet(), [2, 3, 32, 32]), [2, 3, 32, 32]],
  ["placed Inception", () => placed(new InceptionBlock(6), [2, 6, 8, 8]), [2, 6, 8, 8]],
  ["placed transformer", () => placed(new EncoderLayer(16, 2, 32), [2, 5, 16]), [2, 5, 16]],
  ["placed LSTM", () => placed(new SequenceClassifier(6, 8, 3), [2, 4, 6]), [2, 4, 6]],
];
