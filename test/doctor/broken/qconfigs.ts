/** QConfigs that are none, match nothing, or that a layer cannot have; and limits of processors. */

import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import * as q from "../../../src/quantization/entry.ts";
import { Good, lines, ready, withQConfig } from "./good.ts";
import type { Case } from "./good.ts";

class WithEmbedding extends Good {
  table = new nn.Embedding(10, 4); // HERE: an embedding with the default qconfig
}
class WithTransposed extends Good {
  up = new nn.ConvTranspose2d(4, 4, 1);
  override body(x: Tensor): Tensor {
    return this.up.forward(super.body(x)); // HERE: a transposed convolution per channel
  }
}
class Wide extends Good {
  wide = new nn.Linear(100_000, 1);
  override head(x: Tensor): Tensor {
    return this.wide.forward(x.flatten(1)); // HERE: a sum that exceeds 32 bits
  }
}

/** A weight whose neighbours are both near the largest: the worst pair. */
function loud<M extends Good>(model: M): M {
  for (const parameter of model.parameters()) parameter.data.fill(0.5);
  return model;
}

function eightBits<M extends Good>(model: M): M {
  const given = loud(ready(model));
  given.qconfig = q.getDefaultQConfig("qnnpack");
  return given;
}

const perChannelActivations = new q.QConfig({
  activation: q.PerChannelMinMaxObserver.withArgs({ dtype: "quint8" }),
  weight: q.defaultWeightObserver,
});
const unsignedWeights = new q.QConfig({ activation: q.HistogramObserver, weight: q.MinMaxObserver });

export const qconfigCases: readonly Case[] = [
  {
    name: "no qconfig",
    code: "no-qconfig",
    path: "",
    model: () => q.fuseModules(new Good().eval(), ["conv", "bn", "relu"]), // HERE: no qconfig
  },
  {
    name: "a qconfig on the float original, prepared from a copy",
    code: "no-qconfig",
    path: "",
    model: () => {
      const float = new Good().eval(); // HERE: a qconfig on the float original, prepared from a copy
      const fused = q.fuseModules(float, ["conv", "bn", "relu"]);
      float.qconfig = q.getDefaultQConfig("x86");
      return fused;
    },
  },
  {
    name: "a qconfig that is none",
    code: "bad-qconfig",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", "x86"),
    line: "fc: nn.Module = new nn.Linear(4, 3);",
  },
  {
    name: "a qconfig on a pool",
    code: "unused-qconfig",
    path: "pool",
    model: () => withQConfig(ready(new Good()), "pool", q.getDefaultQConfig("x86")),
    line: lines.pool,
  },
  {
    name: "a misspelt path",
    code: "qconfig-matches-nothing",
    path: "cnov",
    model: () => ready(new Good()),
    options: () => ({ qconfigDictKeys: ["cnov"] }),
    line: "const findings = doctor(model, inputsOf(one), one.options?.());",
  },
  {
    name: "weights of 8 unsigned bits",
    code: "weight-dtype",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", unsignedWeights),
    line: lines.fc,
  },
  {
    name: "an activation observer without scale",
    code: "activation-without-scale",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", q.defaultDynamicQConfig),
    line: lines.fc,
  },
  {
    name: "activations per channel",
    code: "per-channel-activation",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", perChannelActivations),
    line: lines.fc,
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
    name: "8-bit activations on avx2",
    code: "saturating-pair",
    path: "fc",
    model: () => eightBits(new Good()),
    options: () => ({ target: "avx2" }),
    line: lines.fc,
  },
  {
    name: "a converted model whose bytes nothing holds back, on avx2",
    code: "saturating-pair",
    path: "fc",
    model: () => q.convert(calibrated(eightBits(new Good()))),
    options: () => ({ target: "avx2" }),
    line: lines.fc,
  },
  {
    name: "a sum that exceeds 32 bits",
    code: "int32-overflow",
    path: "wide",
    model: () => eightBits(new Wide()),
    shape: [1, 4, 100, 250],
  },
];

function calibrated(model: Good): Good {
  const prepared = q.prepare(model);
  for (const module of prepared.modules())
    if (module instanceof q.ObserverBase) module.observe(model.fc.parameters()[0]!);
  return prepared;
}
