/** Plain operators where a FloatFunctional is needed; modules used twice, never, or made while running. */

import { add, cat, mul } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import * as q from "../../../src/quantization/entry.ts";
import { Good, lines, ready } from "./good.ts";
import type { Case } from "./good.ts";

const { FloatFunctional, QuantStub } = q;

class PlainAdd extends Good {
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    return this.dequant.forward(this.head(add(this.body(y), y))); // HERE: a plain sum
  }
}
class PlainMethod extends Good {
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    return this.dequant.forward(this.head(this.body(y).add(y))); // HERE: a plain sum as a method
  }
}
class PlainMul extends Good {
  override body(x: Tensor): Tensor {
    return mul(super.body(x), x); // HERE: a plain product
  }
}
class PlainScalar extends Good {
  override body(x: Tensor): Tensor {
    return mul(super.body(x), 0.5); // HERE: a plain product with a number
  }
}
class PlainCat extends Good {
  override fc: nn.Module = new nn.Linear(8, 3);
  override head(x: Tensor): Tensor {
    return super.head(cat([x, x], 1)); // HERE: a plain join
  }
}
class PlainAddOfFloat extends Good {
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(add(this.body(this.quant.forward(x)), x))); // HERE: a plain sum with the float input
  }
}
class FloatIntoFunctional extends Good {
  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.head(this.sum.add(this.body(this.quant.forward(x)), x))); // HERE: the float input in a FloatFunctional
  }
}
class ConvTwice extends Good {
  again = new nn.Conv2d(4, 4, 1);
  override body(x: Tensor): Tensor {
    const y = this.again.forward(super.body(x));
    return this.again.forward(y); // HERE: a convolution used twice
  }
}
class StubTwice extends Good {
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    const z = this.quant.forward(x.flatten(1).reshape([...x.shape])); // HERE: one QuantStub for two inputs
    return this.dequant.forward(this.head(this.sum.add(this.body(y), z)));
  }
}
class SumTwice extends Good {
  override body(x: Tensor): Tensor {
    return this.sum.add(super.body(x), x);
  }
  override forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    const z = this.body(y);
    return this.dequant.forward(this.head(this.sum.add(z, y))); // HERE: one FloatFunctional for two sums
  }
}
class FunctionalInForward extends Good {
  override body(x: Tensor): Tensor {
    const f = new FloatFunctional();
    return f.add(super.body(x), x); // HERE: a FloatFunctional made in forward
  }
}
class ReluInForward extends Good {
  override body(x: Tensor): Tensor {
    return new nn.ReLU().forward(super.body(x)); // HERE: a ReLU made in forward
  }
}
class DeadBranch extends Good {
  extra = new nn.Conv2d(4, 4, 1); // HERE: a branch the example does not take
  override body(x: Tensor): Tensor {
    return x.shape[2]! > 100 ? this.extra.forward(x) : super.body(x);
  }
}
class UnusedFunctional extends Good {
  spare = new FloatFunctional(); // HERE: a FloatFunctional without use
}
class UnusedStub extends Good {
  spare = new QuantStub(); // HERE: a QuantStub without use
}
class ReadsValues extends Good {
  override body(x: Tensor): Tensor {
    return x.data[0]! > 0 ? super.body(x) : x; // HERE: a forward that reads values
  }
}
class WrongShape extends Good {
  override fc: nn.Module = new nn.Linear(5, 3);
}

function halfCalibrated(): Good {
  const prepared = q.prepare(ready(new Good()));
  const { quant } = prepared;
  (quant as unknown as { activationPostProcess: { observe(x: Tensor): void } }).activationPostProcess.observe(
    (prepared.fc as nn.Linear).weight,
  );
  return prepared;
}

export const callCases: readonly Case[] = [
  { name: "a plain sum", code: "plain-operator", path: "", model: () => ready(new PlainAdd()) },
  { name: "a plain sum as a method", code: "plain-operator", path: "", model: () => ready(new PlainMethod()) },
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
  {
    name: "an observer that saw nothing",
    code: "uncalibrated-observer",
    path: "fc",
    model: halfCalibrated,
    line: lines.fc,
  },
  { name: "a forward that reads values", code: "reads-values", path: "", model: () => ready(new ReadsValues()) },
  {
    name: "a forward that fails",
    code: "forward-fails",
    path: "",
    model: () => ready(new WrongShape()),
    line: lines.fc,
  },
];
