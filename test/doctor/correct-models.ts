/** Networks without a mistake: doctor must be silent. */

import { gelu, maxPool2d, relu } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";
import { placeStubs } from "../../src/doctor/index.ts";
import type { DoctorOptions } from "../../src/doctor/index.ts";
import * as q from "../../src/quantization/entry.ts";
import { capture } from "../../src/graph/index.ts";
import { convertFx, getDefaultQConfigMapping, prepareFx } from "../../src/quantization/fx/index.ts";
import type { QConfigMapping } from "../../src/quantization/fx/index.ts";
import { XnnpackQuantizer, getSymmetricQuantizationConfig, preparePt2e } from "../../src/quantization/pt2e/index.ts";
import { zeros } from "../../src/tensor/create.ts";
import { DigitsNet, digitsFusions } from "../../examples/models/digits-net.ts";
import { InceptionBlock } from "../../examples/models/inception-plain.ts";
import { SequenceClassifier } from "../../examples/models/lstm-plain.ts";
import { MobileNetV2 } from "../../examples/models/mobilenet-plain.ts";
import { ResNet20 as PlainResNet20 } from "../../examples/models/resnet20-plain.ts";
import { ResNet20, fusionsOf } from "../../examples/models/resnet20.ts";
import { SqueezeNet } from "../../examples/models/squeezenet-plain.ts";
import { EncoderLayer } from "../../examples/models/transformer-plain.ts";
import { Good, ready, trainable } from "./broken/good.ts";

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

/** A GRU between stubs of its own, as quantizeDynamic will convert it. */
class GruIsland extends nn.Module {
  quant = new q.QuantStub();
  project = new nn.Linear(6, 6);
  out = new q.DeQuantStub();
  gru = new nn.GRU(6, 8, { batchFirst: true });
  back = new q.QuantStub();
  fc = new nn.Linear(8, 3);
  dequant = new q.DeQuantStub();
  forward(x: Tensor): Tensor {
    const [y] = this.gru.forward(this.out.forward(this.project.forward(this.quant.forward(x))));
    return this.dequant.forward(this.fc.forward(this.back.forward(y)));
  }
}

function gruIsland(): nn.Module {
  const model = new GruIsland().eval();
  model.qconfig = q.getDefaultQConfig("x86");
  model.gru.qconfig = null;
  return model;
}

/** The default mapping; recurrent layers run dynamically only. */
const mapping = (): QConfigMapping => getDefaultQConfigMapping("x86").setObjectType(nn.LSTM, q.defaultDynamicQConfig);
const fx = (): DoctorOptions => ({ fx: { qconfigMapping: mapping() } });

/** Every plain network, as it is given to prepareFx, and prepared and converted by both graph modes. */
function graphModes(name: string, make: () => nn.Module, shape: readonly number[]): CorrectModel[] {
  const float = (): nn.Module => make().eval();
  const inputs = [zeros(shape)];
  const prepareByFx = () => prepareFx(float(), mapping(), inputs);
  const prepareByExport = () =>
    preparePt2e(capture(float(), inputs), new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig()));
  const convertByFx = () => {
    const prepared = prepareByFx();
    prepared.forward(...inputs);
    return convertFx(prepared);
  };
  return [
    [`${name} for FX`, float, shape, fx],
    [`${name} prepared by FX`, prepareByFx, shape],
    [`${name} converted by FX`, convertByFx, shape],
    [`${name} prepared for PyTorch 2 Export`, prepareByExport, shape],
  ];
}

function converted(): nn.Module {
  return q.convert(calibrated());
}

function calibrated(): nn.Module {
  const prepared = q.prepare(ready(new Good()));
  prepared.forward(zeros([2, 4, 6, 6]));
  return prepared;
}

const small = [2, 4, 6, 6];

type CorrectModel = readonly [
  name: string,
  model: () => nn.Module<never[], unknown>,
  shape: readonly number[],
  options?: () => DoctorOptions,
];

const onAvx2 = (): DoctorOptions => ({ target: "avx2" });

export const correct: readonly CorrectModel[] = [
  ["the small network on avx2", () => ready(new Good()), small, onAvx2],
  ["converted", converted, small],
  ["a GRU between stubs of its own", gruIsland, [2, 4, 6]],
  ...graphModes("ResNet-20", () => new PlainResNet20(), [2, 3, 16, 16]),
  ...graphModes("MobileNetV2", () => new MobileNetV2(), [2, 3, 32, 32]),
  ...graphModes("SqueezeNet", () => new SqueezeNet(), [2, 3, 32, 32]),
  ...graphModes("Inception", () => new InceptionBlock(6), [2, 6, 8, 8]),
  ...graphModes("the transformer", () => new EncoderLayer(16, 2, 32), [2, 5, 16]),
  ...graphModes("the LSTM", () => new SequenceClassifier(6, 8, 3), [2, 4, 6]),
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
