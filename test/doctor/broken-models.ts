/** Networks with one real-world mistake each. HERE marks the line doctor must name. */

import { add, cat, gelu, mul, relu, softmax } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";
import type { DoctorOptions } from "../../src/doctor/index.ts";
import * as q from "../../src/quantization/entry.ts";

const { QuantStub, DeQuantStub, FloatFunctional } = q;

/** [n, 4, 6, 6] through a convolution, a sum and a linear layer: correct; cases break parts of it. */
export class Good extends nn.Module {
  quant: nn.Module = new QuantStub();
  conv: nn.Module = new nn.Conv2d(4, 4, 3, { padding: 1 });
  bn: nn.Module = new nn.BatchNorm2d(4);
  relu: nn.Module = new nn.ReLU();
  sum = new FloatFunctional();
  pool: nn.Module = new nn.AdaptiveAvgPool2d(1);
  fc: nn.Module = new nn.Linear(4, 3);
  dequant: nn.Module = new DeQuantStub();

  body(x: Tensor): Tensor {
    return this.relu.forward(this.bn.forward(this.conv.forward(x)));
  }

  head(x: Tensor): Tensor {
    return this.fc.forward(this.pool.forward(x).flatten(1));
  }

  forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    return this.dequant.forward(this.head(this.sum.add(this.body(y), y)));
  }
}

/** Fused and with the default qconfig. */
export function ready<M extends Good>(model: M): M {
  const fused = q.fuseModules(model.eval(), ["conv", "bn", "relu"]);
  fused.qconfig = q.getDefaultQConfig("x86");
  return fused;
}

export function trainable<M extends Good>(model: M): M {
  const fused = q.fuseModulesQat(model.train(), ["conv", "bn", "relu"]);
  fused.qconfig = q.getDefaultQatQConfig("x86");
  return fused;
}

class NoQuant extends Good {
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(this.body(x))); // HERE
  }
}
class NoQuantConv extends Good {
  override body(x: Tensor): Tensor {
    return this.relu.forward(this.bn.forward(this.conv.forward(x))); // HERE
  }
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(this.quant.forward(this.body(x))));
  }
}
class NoDequant extends Good {
  override forward(x: Tensor): Tensor {
    return this.head(this.body(this.quant.forward(x)));
  }
  override head(x: Tensor): Tensor {
    return this.fc.forward(this.pool.forward(x).flatten(1)); // HERE
  }
}
class DequantTooEarly extends Good {
  override head(x: Tensor): Tensor {
    return this.fc.forward(this.dequant.forward(this.pool.forward(x).flatten(1))); // HERE
  }
  override forward(x: Tensor): Tensor {
    return this.head(this.body(this.quant.forward(x)));
  }
}
class TwoQuants extends Good {
  quant2: nn.Module = new QuantStub();
  override body(x: Tensor): Tensor {
    return super.body(this.quant2.forward(x)); // HERE
  }
}
class TwoDequants extends Good {
  dequant2: nn.Module = new DeQuantStub();
  override forward(x: Tensor): Tensor {
    return this.dequant2.forward(super.forward(x)); // HERE
  }
}
class PlainAdd extends Good {
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    return this.dequant.forward(this.head(add(this.body(y), y))); // HERE
  }
}
class PlainMul extends Good {
  override body(x: Tensor): Tensor {
    return mul(super.body(x), x); // HERE
  }
}
class PlainScalar extends Good {
  override body(x: Tensor): Tensor {
    return mul(super.body(x), 0.5); // HERE
  }
}
class PlainCat extends Good {
  override fc: nn.Module = new nn.Linear(8, 3);
  override head(x: Tensor): Tensor {
    return super.head(cat([x, x], 1)); // HERE
  }
}
class PlainAddOfFloat extends Good {
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(add(this.body(this.quant.forward(x)), x))); // HERE
  }
}
class FloatIntoFunctional extends Good {
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(this.sum.add(this.body(this.quant.forward(x)), x))); // HERE
  }
}
class GeluOnIntegers extends Good {
  override body(x: Tensor): Tensor {
    return gelu(super.body(x)); // HERE
  }
}
class SoftmaxOnIntegers extends Good {
  override head(x: Tensor): Tensor {
    return softmax(super.head(x), 1); // HERE
  }
}
class GeluModule extends Good {
  act = new nn.GELU();
  override body(x: Tensor): Tensor {
    return this.act.forward(super.body(x)); // HERE
  }
}
class NormWithoutForm extends Good {
  norm = new nn.BatchNorm1d(4);
  override head(x: Tensor): Tensor {
    return this.fc.forward(this.norm.forward(this.pool.forward(x).flatten(1))); // HERE
  }
}
class ConvTwice extends Good {
  again = new nn.Conv2d(4, 4, 1);
  override body(x: Tensor): Tensor {
    const y = this.again.forward(super.body(x));
    return this.again.forward(y); // HERE
  }
}
class StubTwice extends Good {
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    const z = this.quant.forward(x.flatten(1).reshape([...x.shape])); // HERE
    return this.dequant.forward(this.head(this.sum.add(this.body(y), z)));
  }
}
class SumTwice extends Good {
  override body(x: Tensor): Tensor {
    return this.sum.add(super.body(x), x);
  }
  override head(x: Tensor): Tensor {
    return super.head(x);
  }
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    const z = this.body(y);
    return this.dequant.forward(this.head(this.sum.add(z, y))); // HERE
  }
}
class FunctionalInForward extends Good {
  override body(x: Tensor): Tensor {
    const f = new FloatFunctional();
    return f.add(super.body(x), x); // HERE
  }
}
class ReluInForward extends Good {
  override body(x: Tensor): Tensor {
    return new nn.ReLU().forward(super.body(x)); // HERE
  }
}
class DeadBranch extends Good {
  extra = new nn.Conv2d(4, 4, 1);
  override body(x: Tensor): Tensor {
    return x.shape[2]! > 100 ? this.extra.forward(x) : super.body(x);
  }
}
class UnusedFunctional extends Good {
  spare = new FloatFunctional();
}
class UnusedStub extends Good {
  spare = new QuantStub();
}
class SharedRelu extends Good {
  conv2: nn.Module = new nn.Conv2d(4, 4, 1);
  override body(x: Tensor): Tensor {
    const y = super.body(x);
    return this.relu.forward(this.conv2.forward(y)); // HERE
  }
}
class ReadsValues extends Good {
  override body(x: Tensor): Tensor {
    return x.data[0]! > 0 ? super.body(x) : x; // HERE
  }
}
class WrongShape extends Good {
  override fc: nn.Module = new nn.Linear(5, 3);
}
class WithEmbedding extends Good {
  table = new nn.Embedding(10, 4);
}
class WithTransposed extends Good {
  up = new nn.ConvTranspose2d(4, 4, 2);
  override body(x: Tensor): Tensor {
    return this.up.forward(super.body(x)); // HERE
  }
}
class WithConv1d extends Good {
  seq = new nn.Conv1d(4, 4, 1);
  override head(x: Tensor): Tensor {
    return super.head(this.seq.forward(x.flatten(2)).reshape([...x.shape])); // HERE
  }
}
class UnfusedLinear extends Good {
  norm = new nn.BatchNorm1d(3);
  override head(x: Tensor): Tensor {
    return this.norm.forward(super.head(x)); // HERE
  }
}
class FunctionalRelu extends Good {
  override body(x: Tensor): Tensor {
    return relu(this.bn.forward(this.conv.forward(x))); // HERE
  }
}
class Wide extends Good {
  wide = new nn.Linear(100_000, 1);
  override head(x: Tensor): Tensor {
    return this.wide.forward(x.flatten(1)); // HERE
  }
}
export interface Case {
  readonly name: string;
  readonly code: string;
  readonly path: string;
  readonly model: () => nn.Module;
  readonly options?: DoctorOptions;
  readonly shape?: readonly number[];
}

function withQConfig<M extends Good>(model: M, path: string, qconfig: unknown): M {
  model.getSubmodule(path).qconfig = qconfig;
  return model;
}

/** Only these parts get a qconfig. */
function only<M extends Good>(model: M, paths: readonly string[]): M {
  const fused = ready(model);
  for (const path of paths) fused.getSubmodule(path).qconfig = fused.qconfig;
  delete fused.qconfig;
  return fused;
}

function plain<M extends Good>(model: M): M {
  model.eval().qconfig = q.getDefaultQConfig("x86");
  return model;
}

/** A weight whose neighbours are both near the largest: the worst pair. */
function loud<M extends Good>(model: M): M {
  for (const parameter of model.parameters()) parameter.data.fill(0.5);
  return model;
}

function halfCalibrated(): Good {
  const prepared = q.prepare(ready(new Good()));
  const { quant } = prepared;
  (quant as unknown as { activationPostProcess: { observe(x: Tensor): void } }).activationPostProcess.observe(
    (prepared.fc as nn.Linear).weight,
  );
  return prepared;
}

const perTensorActivation = q.HistogramObserver;

export const cases: readonly Case[] = [
  { name: "no QuantStub", code: "missing-quant-stub", path: "conv", model: () => ready(new NoQuant()) },
  {
    name: "QuantStub after the convolution",
    code: "missing-quant-stub",
    path: "conv",
    model: () => ready(new NoQuantConv()),
  },
  { name: "no DeQuantStub", code: "missing-dequant-stub", path: "fc", model: () => ready(new NoDequant()) },
  {
    name: "DeQuantStub before the last layer",
    code: "missing-quant-stub",
    path: "fc",
    model: () => ready(new DequantTooEarly()),
  },
  { name: "two QuantStubs", code: "doubled-quant-stub", path: "quant2", model: () => ready(new TwoQuants()) },
  { name: "two DeQuantStubs", code: "doubled-dequant-stub", path: "dequant2", model: () => ready(new TwoDequants()) },
  { name: "a plain sum", code: "plain-operator", path: "", model: () => ready(new PlainAdd()) },
  { name: "a plain product", code: "plain-operator", path: "", model: () => ready(new PlainMul()) },
  { name: "a plain product with a number", code: "plain-operator", path: "", model: () => ready(new PlainScalar()) },
  { name: "a plain join", code: "plain-operator", path: "", model: () => ready(new PlainCat()) },
  {
    name: "a plain sum with the float input",
    code: "plain-operator",
    path: "",
    model: () => ready(new PlainAddOfFloat()),
  },
  {
    name: "the float input in a FloatFunctional",
    code: "missing-quant-stub",
    path: "sum",
    model: () => ready(new FloatIntoFunctional()),
  },
  { name: "gelu on integers", code: "missing-dequant-stub", path: "", model: () => ready(new GeluOnIntegers()) },
  { name: "softmax on integers", code: "missing-dequant-stub", path: "", model: () => ready(new SoftmaxOnIntegers()) },
  {
    name: "a GELU module on integers",
    code: "missing-dequant-stub",
    path: "act",
    model: () => ready(new GeluModule()),
  },
  {
    name: "a norm without integer form",
    code: "missing-dequant-stub",
    path: "norm",
    model: () => ready(new NormWithoutForm()),
  },
  { name: "a convolution used twice", code: "reused-module", path: "again", model: () => ready(new ConvTwice()) },
  { name: "one QuantStub for two inputs", code: "reused-module", path: "quant", model: () => ready(new StubTwice()) },
  {
    name: "one FloatFunctional for two sums",
    code: "reused-functional",
    path: "sum",
    model: () => ready(new SumTwice()),
  },
  {
    name: "a FloatFunctional made in forward",
    code: "functional-created-in-forward",
    path: "",
    model: () => ready(new FunctionalInForward()),
  },
  {
    name: "a ReLU made in forward",
    code: "module-created-in-forward",
    path: "",
    model: () => ready(new ReluInForward()),
  },
  {
    name: "a branch the example does not take",
    code: "never-called",
    path: "extra",
    model: () => ready(new DeadBranch()),
  },
  {
    name: "a FloatFunctional without use",
    code: "never-called",
    path: "spare",
    model: () => ready(new UnusedFunctional()),
  },
  { name: "a QuantStub without use", code: "never-called", path: "spare", model: () => ready(new UnusedStub()) },
  { name: "an observer that saw nothing", code: "uncalibrated-observer", path: "fc", model: halfCalibrated },
  {
    name: "batch normalization not fused",
    code: "unfused-batch-norm",
    path: "bn",
    model: () => plain(new FunctionalRelu()),
  },
  {
    name: "batch normalization not fused with its ReLU",
    code: "unfused-batch-norm",
    path: "bn",
    model: () => plain(new Good()),
  },
  {
    name: "batch normalization of a linear layer not fused",
    code: "unfused-batch-norm",
    path: "norm",
    model: () => ready(new UnfusedLinear()),
  },
  {
    name: "one ReLU for two layers, fused into the first",
    code: "illegal-fusion",
    path: "relu",
    model: () => ready(new SharedRelu()),
  },
  {
    name: "fused for training, then static",
    code: "fused-for-training",
    path: "conv",
    model: () => plain(q.fuseModulesQat(new Good().eval(), ["conv", "bn", "relu"])),
  },
  {
    name: "no qconfig",
    code: "no-qconfig",
    path: "",
    model: () => q.fuseModules(new Good().eval(), ["conv", "bn", "relu"]),
  },
  {
    name: "a qconfig that is none",
    code: "bad-qconfig",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", "x86"),
  },
  {
    name: "stubs without qconfig",
    code: "unreached-module",
    path: "quant",
    model: () => only(new Good(), ["conv", "sum", "fc", "dequant"]),
  },
  {
    name: "a last stub without qconfig",
    code: "unreached-module",
    path: "dequant",
    model: () => only(new Good(), ["quant", "conv", "sum", "fc"]),
  },
  {
    name: "a layer without qconfig",
    code: "unreached-module",
    path: "fc",
    model: () => only(new Good(), ["quant", "conv", "sum", "dequant"]),
  },
  {
    name: "a layer switched off among integers",
    code: "missing-dequant-stub",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", null),
  },
  {
    name: "a qconfig on a pool",
    code: "unused-qconfig",
    path: "pool",
    model: () => withQConfig(ready(new Good()), "pool", q.getDefaultQConfig("x86")),
  },
  {
    name: "a misspelt path",
    code: "qconfig-matches-nothing",
    path: "cnov",
    model: () => ready(new Good()),
    options: { qconfigDictKeys: ["cnov"] },
  },
  {
    name: "weights of 8 unsigned bits",
    code: "weight-dtype",
    path: "fc",
    model: () =>
      withQConfig(
        ready(new Good()),
        "fc",
        new q.QConfig({ activation: perTensorActivation, weight: q.MinMaxObserver }),
      ),
  },
  {
    name: "an activation observer without scale",
    code: "activation-without-scale",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", q.defaultDynamicQConfig),
  },
  {
    name: "an embedding with the default qconfig",
    code: "embedding-qconfig",
    path: "table",
    model: () => ready(new WithEmbedding()),
  },
  {
    name: "a transposed convolution per channel",
    code: "per-channel-unsupported",
    path: "up",
    model: () => ready(new WithTransposed()),
  },
  {
    name: "training mode before calibration",
    code: "train-mode",
    path: "bn",
    model: () => {
      const model = plain(new Good());
      return model.train();
    },
  },
  {
    name: "eval mode before prepareQat",
    code: "eval-mode",
    path: "",
    model: () => trainable(new Good()).eval(),
  },
  {
    name: "a norm left in training mode",
    code: "mixed-mode",
    path: "norm",
    model: () => {
      const model = ready(new UnfusedLinear());
      model.norm.train();
      return model;
    },
  },
  {
    name: "observers for training",
    code: "observers-in-training",
    path: "",
    model: () => {
      const model = trainable(new Good());
      model.qconfig = q.getDefaultQConfig("x86");
      return model;
    },
    options: { flow: "qat" },
  },
  {
    name: "nothing to train",
    code: "nothing-to-train",
    path: "",
    model: () => only(new Good(), ["quant", "sum", "dequant"]).train(),
    options: { flow: "qat" },
  },
  { name: "Conv1d in training", code: "no-training-form", path: "seq", model: () => trainable(new WithConv1d()) },
  { name: "a forward that reads values", code: "reads-values", path: "", model: () => ready(new ReadsValues()) },
  { name: "a forward that fails", code: "forward-fails", path: "", model: () => ready(new WrongShape()) },
  {
    name: "8-bit activations on avx2",
    code: "saturating-pair",
    path: "fc",
    model: () => {
      const model = loud(ready(new Good()));
      model.qconfig = q.getDefaultQConfig("qnnpack");
      return model;
    },
    options: { target: "avx2" },
  },
  {
    name: "a sum that exceeds 32 bits",
    code: "int32-overflow",
    path: "wide",
    model: () => {
      const model = loud(ready(new Wide()));
      model.qconfig = q.getDefaultQConfig("qnnpack");
      return model;
    },
    shape: [1, 4, 100, 250],
  },
];
