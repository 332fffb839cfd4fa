/** Stubs that are missing, doubled, or at the wrong place; float layers and functions among integers. */

import { exp, gelu, softmax } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import * as q from "../../../src/quantization/entry.ts";
import { Good, lines, only, ready, withQConfig } from "./good.ts";
import type { Case } from "./good.ts";

class NoQuant extends Good {
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(this.body(x)));
  }
}
class NoQuantConv extends Good {
  override body(x: Tensor): Tensor {
    return this.relu.forward(this.bn.forward(this.conv.forward(x))); // HERE: QuantStub after the convolution
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
    return this.fc.forward(this.pool.forward(x).flatten(1)); // HERE: no DeQuantStub
  }
}
class DequantTooEarly extends Good {
  override head(x: Tensor): Tensor {
    return this.fc.forward(this.dequant.forward(this.pool.forward(x).flatten(1))); // HERE: DeQuantStub before the last layer
  }
  override forward(x: Tensor): Tensor {
    return this.head(this.body(this.quant.forward(x)));
  }
}
class TwoQuants extends Good {
  quant2: nn.Module = new q.QuantStub();
  override body(x: Tensor): Tensor {
    return super.body(this.quant2.forward(x)); // HERE: two QuantStubs
  }
}
class TwoDequants extends Good {
  dequant2: nn.Module = new q.DeQuantStub();
  override forward(x: Tensor): Tensor {
    return this.dequant2.forward(super.forward(x)); // HERE: two DeQuantStubs
  }
}
class GeluOnIntegers extends Good {
  override body(x: Tensor): Tensor {
    return gelu(super.body(x)); // HERE: gelu on integers
  }
}
class SoftmaxOnIntegers extends Good {
  override head(x: Tensor): Tensor {
    return softmax(super.head(x), 1); // HERE: softmax on integers
  }
}
class GeluModule extends Good {
  act = new nn.GELU();
  override body(x: Tensor): Tensor {
    return this.act.forward(super.body(x)); // HERE: a GELU module on integers
  }
}
class NormWithoutForm extends Good {
  norm = new nn.BatchNorm1d(4);
  override head(x: Tensor): Tensor {
    return this.fc.forward(this.norm.forward(this.pool.forward(x).flatten(1))); // HERE: a norm without integer form
  }
}
class Boxes extends Good {
  override forward(x: Tensor): Tensor {
    const logits = super.forward(x);
    return logits;
  }
  override head(x: Tensor): Tensor {
    return exp(super.head(x)); // HERE: boxes decoded before the DeQuantStub
  }
}
class TwoInputs extends nn.Module<[Tensor, Tensor]> {
  quant = new q.QuantStub();
  left = new nn.Linear(4, 4);
  right = new nn.Linear(4, 4);
  sum = new q.FloatFunctional();
  dequant = new q.DeQuantStub();
  forward(x: Tensor, y: Tensor): Tensor {
    const a = this.left.forward(this.quant.forward(x));
    const b = this.right.forward(y); // HERE: a stub for one of two inputs
    return this.dequant.forward(this.sum.add(a, b));
  }
}
class GruInside extends nn.Module {
  quant = new q.QuantStub();
  project = new nn.Linear(6, 6);
  gru = new nn.GRU(6, 8, { batchFirst: true });
  fc = new nn.Linear(8, 3);
  dequant = new q.DeQuantStub();
  forward(x: Tensor): Tensor {
    const [y] = this.gru.forward(this.project.forward(this.quant.forward(x))); // HERE: a GRU among integers
    return this.dequant.forward(this.fc.forward(y));
  }
}
class GruOutside extends nn.Module {
  quant = new q.QuantStub();
  gru = new nn.GRU(6, 8, { batchFirst: true });
  fc = new nn.Linear(8, 3);
  dequant = new q.DeQuantStub();
  forward(x: Tensor): Tensor {
    const [y] = this.gru.forward(x); // HERE: a float GRU with the model's qconfig
    return this.dequant.forward(this.fc.forward(this.quant.forward(y)));
  }
}
class CellInside extends nn.Module {
  quant = new q.QuantStub();
  cell = new nn.GRUCell(6, 6);
  dequant = new q.DeQuantStub();
  forward(x: Tensor): Tensor {
    return this.dequant.forward(this.cell.forward(this.quant.forward(x))); // HERE: a GRU cell among integers
  }
}

function configured<M extends nn.Module<never[], unknown>>(model: M): M {
  model.eval().qconfig = q.getDefaultQConfig("x86");
  return model;
}

export const stubCases: readonly Case[] = [
  {
    name: "no QuantStub",
    code: "missing-quant-stub",
    path: "conv",
    model: () => ready(new NoQuant()),
    line: lines.body,
  },
  {
    name: "QuantStub after the convolution",
    also: ["doubled-quant-stub"],
    code: "missing-quant-stub",
    path: "conv",
    model: () => ready(new NoQuantConv()),
  },
  { name: "no DeQuantStub", code: "missing-dequant-stub", path: "fc", model: () => ready(new NoDequant()) },
  {
    name: "DeQuantStub before the last layer",
    also: ["missing-dequant-stub"],
    code: "missing-quant-stub",
    path: "fc",
    model: () => ready(new DequantTooEarly()),
  },
  { name: "two QuantStubs", code: "doubled-quant-stub", path: "quant2", model: () => ready(new TwoQuants()) },
  { name: "two DeQuantStubs", code: "doubled-dequant-stub", path: "dequant2", model: () => ready(new TwoDequants()) },
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
  {
    name: "boxes decoded before the DeQuantStub",
    code: "missing-dequant-stub",
    path: "",
    model: () => ready(new Boxes()),
  },
  {
    name: "a stub for one of two inputs",
    code: "missing-quant-stub",
    path: "right",
    model: () => configured(new TwoInputs()),
    shape: [2, 4],
    inputs: 2,
  },
  {
    name: "a GRU among integers",
    code: "dynamic-only",
    path: "gru",
    model: () => configured(new GruInside()),
    shape: [2, 4, 6],
  },
  {
    name: "a float GRU with the model's qconfig",
    code: "dynamic-only",
    path: "gru",
    model: () => configured(new GruOutside()),
    shape: [2, 4, 6],
  },
  {
    name: "a GRU cell among integers",
    code: "missing-dequant-stub",
    path: "cell",
    model: () => configured(new CellInside()),
    shape: [2, 6],
  },
  {
    name: "stubs without qconfig",
    code: "unreached-module",
    path: "quant",
    model: () => only(new Good(), ["conv", "sum", "fc", "dequant"]),
    line: lines.quant,
  },
  {
    name: "a last stub without qconfig",
    code: "unreached-module",
    path: "dequant",
    model: () => only(new Good(), ["quant", "conv", "sum", "fc"]),
    line: lines.dequant,
  },
  {
    name: "a layer without qconfig",
    code: "unreached-module",
    path: "fc",
    model: () => only(new Good(), ["quant", "conv", "sum", "dequant"]),
    line: lines.fc,
  },
  {
    name: "a layer switched off among integers",
    code: "missing-dequant-stub",
    path: "fc",
    model: () => withQConfig(ready(new Good()), "fc", null),
    line: lines.fc,
  },
];
