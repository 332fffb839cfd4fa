/**
 * Fused float layers: a layer and what follows it, marked as one unit.
 *
 * Nothing is computed differently; observers and conversion treat the unit as a whole. Children keep the keys
 * "0", "1", ... of a Sequential, as in torch.ao.nn.intrinsic.
 */

import { ModuleError } from "../../errors.ts";
import { add } from "../../ops/arithmetic.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { LeakyReLU, ReLU, Tanh } from "../activation.ts";
import { BatchNorm1d, BatchNorm2d, BatchNorm3d } from "../batch-norm.ts";
import { Sequential } from "../container.ts";
import { Conv1d, Conv2d, Conv3d } from "../conv.ts";
import { Linear } from "../linear.ts";
import type { AnyModule } from "../module.ts";

type Class<M extends AnyModule> = abstract new (...args: never[]) => M;

/** The base of all fused containers: `instanceof FusedModule` is how flows recognise them. */
export abstract class FusedModule<In extends readonly unknown[] = [Tensor], Out = Tensor> extends Sequential<In, Out> {
  /** @throws ModuleError unless the children are of the classes the unit is made of. */
  protected check(...classes: readonly Class<AnyModule>[]): void {
    const children = [...this];
    if (children.every((child, i) => child instanceof classes[i]!)) return;
    throw new ModuleError(
      this.constructor.name,
      { expected: classes.map(({ name }) => name), given: children.map((child) => child.constructor.name) },
      "the parts must be of these classes, in this order",
    );
  }
}

/** Conv1d and ReLU. */
export class ConvReLU1d extends FusedModule {
  constructor(conv: Conv1d, act: ReLU) {
    super(conv, act);
    this.check(Conv1d, ReLU);
  }
}

/** Conv2d and ReLU. */
export class ConvReLU2d extends FusedModule {
  constructor(conv: Conv2d, act: ReLU) {
    super(conv, act);
    this.check(Conv2d, ReLU);
  }
}

/** Conv3d and ReLU. */
export class ConvReLU3d extends FusedModule {
  constructor(conv: Conv3d, act: ReLU) {
    super(conv, act);
    this.check(Conv3d, ReLU);
  }
}

/** Conv1d and BatchNorm1d, for training. */
export class ConvBn1d extends FusedModule {
  constructor(conv: Conv1d, bn: BatchNorm1d) {
    super(conv, bn);
    this.check(Conv1d, BatchNorm1d);
  }
}

/** Conv2d and BatchNorm2d, for training. */
export class ConvBn2d extends FusedModule {
  constructor(conv: Conv2d, bn: BatchNorm2d) {
    super(conv, bn);
    this.check(Conv2d, BatchNorm2d);
  }
}

/** Conv3d and BatchNorm3d, for training. */
export class ConvBn3d extends FusedModule {
  constructor(conv: Conv3d, bn: BatchNorm3d) {
    super(conv, bn);
    this.check(Conv3d, BatchNorm3d);
  }
}

/** Conv1d, BatchNorm1d and ReLU, for training. */
export class ConvBnReLU1d extends FusedModule {
  constructor(conv: Conv1d, bn: BatchNorm1d, act: ReLU) {
    super(conv, bn, act);
    this.check(Conv1d, BatchNorm1d, ReLU);
  }
}

/** Conv2d, BatchNorm2d and ReLU, for training. */
export class ConvBnReLU2d extends FusedModule {
  constructor(conv: Conv2d, bn: BatchNorm2d, act: ReLU) {
    super(conv, bn, act);
    this.check(Conv2d, BatchNorm2d, ReLU);
  }
}

/** Conv3d, BatchNorm3d and ReLU, for training. */
export class ConvBnReLU3d extends FusedModule {
  constructor(conv: Conv3d, bn: BatchNorm3d, act: ReLU) {
    super(conv, bn, act);
    this.check(Conv3d, BatchNorm3d, ReLU);
  }
}

/** BatchNorm2d and ReLU. */
export class BNReLU2d extends FusedModule {
  constructor(bn: BatchNorm2d, act: ReLU) {
    super(bn, act);
    this.check(BatchNorm2d, ReLU);
  }
}

/** BatchNorm3d and ReLU. */
export class BNReLU3d extends FusedModule {
  constructor(bn: BatchNorm3d, act: ReLU) {
    super(bn, act);
    this.check(BatchNorm3d, ReLU);
  }
}

/** Linear and ReLU. */
export class LinearReLU extends FusedModule {
  constructor(linear: Linear, act: ReLU) {
    super(linear, act);
    this.check(Linear, ReLU);
  }
}

/** Linear and BatchNorm1d, for training. */
export class LinearBn1d extends FusedModule {
  constructor(linear: Linear, bn: BatchNorm1d) {
    super(linear, bn);
    this.check(Linear, BatchNorm1d);
  }
}

/** Linear and LeakyReLU. */
export class LinearLeakyReLU extends FusedModule {
  constructor(linear: Linear, act: LeakyReLU) {
    super(linear, act);
    this.check(Linear, LeakyReLU);
  }
}

/** Linear and Tanh. */
export class LinearTanh extends FusedModule {
  constructor(linear: Linear, act: Tanh) {
    super(linear, act);
    this.check(Linear, Tanh);
  }
}

/** The addition of a residual: a + b unless told otherwise. */
export type Addition = (a: Tensor, b: Tensor) => Tensor;

/** forward(x, other) = conv(x) + other. */
export class ConvAdd2d extends FusedModule<[x: Tensor, other: Tensor]> {
  readonly add: Addition;

  constructor(conv: Conv2d, addition: Addition = add) {
    super(conv);
    this.check(Conv2d);
    this.add = addition;
  }

  override forward(x: Tensor, other: Tensor): Tensor {
    return this.add((this.at(0) as Conv2d).forward(x), other);
  }
}

/** forward(x, other) = relu(conv(x) + other). */
export class ConvAddReLU2d extends FusedModule<[x: Tensor, other: Tensor]> {
  readonly add: Addition;

  constructor(conv: Conv2d, addition: Addition = add, act: ReLU = new ReLU()) {
    super(conv, act);
    this.check(Conv2d, ReLU);
    this.add = addition;
  }

  override forward(x: Tensor, other: Tensor): Tensor {
    return (this.at(1) as ReLU).forward(this.add((this.at(0) as Conv2d).forward(x), other));
  }
}
