/** The correct network that every broken one departs from, and what a broken one is. */

import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import type { DoctorOptions } from "../../../src/doctor/index.ts";
import * as q from "../../../src/quantization/entry.ts";

/** One real-world mistake. The line doctor must name ends in `// HERE: ` and the case's name, or is `line`. */
export interface Case {
  readonly name: string;
  readonly code: string;
  readonly path: string;
  readonly model: () => nn.Module<never[], unknown>;
  readonly options?: () => DoctorOptions;
  readonly shape?: readonly number[];
  /** How many inputs of that shape forward takes; 1 by default. */
  readonly inputs?: number;
  /** Codes of further findings that are true as well. */
  readonly also?: readonly string[];
  /** Text of the one source line at fault, where several cases share it. */
  readonly line?: string;
}

/** [n, 4, 6, 6] through a convolution, a sum and a linear layer: correct; cases break parts of it. */
export class Good extends nn.Module {
  quant: nn.Module = new q.QuantStub();
  conv: nn.Module = new nn.Conv2d(4, 4, 3, { padding: 1 });
  bn: nn.Module = new nn.BatchNorm2d(4);
  relu: nn.Module = new nn.ReLU();
  sum = new q.FloatFunctional();
  pool: nn.Module = new nn.AdaptiveAvgPool2d(1);
  fc: nn.Module = new nn.Linear(4, 3);
  dequant: nn.Module = new q.DeQuantStub();

  body(x: Tensor): Tensor {
    return this.relu.forward(this.bn.forward(this.conv.forward(x)));
  }

  head(x: Tensor): Tensor {
    const pooled = this.pool.forward(x).flatten(1);
    return this.fc.forward(pooled);
  }

  forward(x: Tensor): Tensor {
    const bytes = this.quant.forward(x);
    const summed = this.sum.add(this.body(bytes), bytes);
    const logits = this.head(summed);
    return this.dequant.forward(logits);
  }
}

/** Lines of `Good` that are at fault when it is used wrongly. */
export const lines = {
  quant: "const bytes = this.quant.forward(x);",
  body: "return this.relu.forward(this.bn.forward(this.conv.forward(x)));",
  pool: "const pooled = this.pool.forward(x).flatten(1);",
  fc: "return this.fc.forward(pooled);",
  dequant: "return this.dequant.forward(logits);",
} as const;

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

/** The default qconfig and nothing fused. */
export function plain<M extends nn.Module>(model: M): M {
  model.eval().qconfig = q.getDefaultQConfig("x86");
  return model;
}

export function withQConfig<M extends nn.Module>(model: M, path: string, qconfig: unknown): M {
  model.getSubmodule(path).qconfig = qconfig;
  return model;
}

/** Only these parts get a qconfig. */
export function only<M extends Good>(model: M, paths: readonly string[]): M {
  const fused = ready(model);
  for (const path of paths) fused.getSubmodule(path).qconfig = fused.qconfig;
  delete fused.qconfig;
  return fused;
}
