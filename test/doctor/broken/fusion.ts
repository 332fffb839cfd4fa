/** Batch normalization that is not fused, or fused where it must not be; train and eval mode. */

import { relu } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import * as q from "../../../src/quantization/entry.ts";
import { Good, lines, only, plain, ready, trainable } from "./good.ts";
import type { Case } from "./good.ts";

class FunctionalRelu extends Good {
  override body(x: Tensor): Tensor {
    return relu(this.bn.forward(this.conv.forward(x))); // HERE: batch normalization not fused
  }
}
class UnfusedLinear extends Good {
  norm = new nn.BatchNorm1d(3);
  override head(x: Tensor): Tensor {
    return this.norm.forward(super.head(x)); // HERE: batch normalization of a linear layer not fused
  }
}
class SharedRelu extends Good {
  conv2: nn.Module = new nn.Conv2d(4, 4, 1);
  override body(x: Tensor): Tensor {
    const y = super.body(x);
    return this.relu.forward(this.conv2.forward(y)); // HERE: one ReLU for two layers, fused into the first
  }
}
class Swapped extends Good {
  conv2 = new nn.Conv2d(4, 4, 1);
  bn2 = new nn.BatchNorm2d(4);
  override body(x: Tensor): Tensor {
    const y = super.body(x);
    return this.bn2.forward(this.conv2.forward(y)); // HERE: fused with another layer's normalization
  }
}
class WithConv1d extends Good {
  seq = new nn.Conv1d(4, 4, 1);
  override head(x: Tensor): Tensor {
    return super.head(this.seq.forward(x.flatten(2)).reshape([...x.shape])); // HERE: Conv1d in training
  }
}
class Mixed extends Good {
  norm = new nn.BatchNorm1d(3);
  override head(x: Tensor): Tensor {
    return this.norm.forward(super.head(x)); // HERE: a norm left in training mode
  }
}
class Dropping extends Good {
  drop = new nn.Dropout(0.5);
  override head(x: Tensor): Tensor {
    return super.head(this.drop.forward(x)); // HERE: dropout left in training mode
  }
}

function swapped(): Swapped {
  const model = q.fuseModules(new Swapped().eval(), ["conv", "bn2"]);
  model.qconfig = q.getDefaultQConfig("x86");
  return model;
}

export const fusionCases: readonly Case[] = [
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
    line: lines.body,
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
    name: "fused with another layer's normalization",
    also: ["unfused-batch-norm"],
    code: "illegal-fusion",
    path: "bn2",
    model: swapped,
  },
  {
    name: "fused for training, then static",
    code: "fused-for-training",
    path: "conv",
    model: () => plain(q.fuseModulesQat(new Good().eval(), ["conv", "bn", "relu"])),
    line: lines.body,
  },
  {
    name: "training mode before calibration",
    also: ["unfused-batch-norm"],
    code: "train-mode",
    path: "bn",
    model: () => plain(new Good()).train(),
    line: lines.body,
  },
  {
    name: "eval mode before prepareQat",
    code: "eval-mode",
    path: "",
    model: () => trainable(new Good()).eval(), // HERE: eval mode before prepareQat
  },
  {
    name: "a norm left in training mode",
    also: ["unfused-batch-norm"],
    code: "mixed-mode",
    path: "norm",
    model: () => {
      const model = ready(new Mixed());
      model.norm.train();
      return model;
    },
  },
  {
    name: "dropout left in training mode",
    code: "mixed-mode",
    path: "drop",
    model: () => {
      const model = ready(new Dropping());
      model.drop.train();
      return model;
    },
  },
  {
    name: "observers for training",
    code: "observers-in-training",
    path: "",
    model: () => {
      const model = trainable(new Good()); // HERE: observers for training
      model.qconfig = q.getDefaultQConfig("x86");
      return model;
    },
    options: () => ({ flow: "qat" }),
  },
  {
    name: "nothing to train",
    also: ["observers-in-training", "unreached-module"],
    code: "nothing-to-train",
    path: "",
    model: () => only(new Good(), ["quant", "sum", "dequant"]).train(), // HERE: nothing to train
    options: () => ({ flow: "qat" }),
  },
  { name: "Conv1d in training", code: "no-training-form", path: "seq", model: () => trainable(new WithConv1d()) },
];
