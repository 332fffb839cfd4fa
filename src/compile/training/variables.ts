/**
 * Tensors whose values a compiled training step keeps in the engine's memory: parameters and the optimizer's state.
 *
 * A tensor is lent (tensor/tensor.ts): while the engine has its values, reading the tensor brings them back, and the next
 * step takes them over again. So whoever looks at the model between two steps sees current values, and may change them.
 */

import type { Engine } from "../../engine/engine.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import type { Keeper, Tensor } from "../../tensor/tensor.ts";

const FLOAT = 4;

export class VariableStore implements Keeper {
  private readonly engine: Engine;
  private readonly addresses = new Map<Tensor, number>();

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Where the values of a float32 tensor are, or will be. @throws EngineError when memory cannot be had. */
  addressOf(tensor: Tensor): number {
    const known = this.addresses.get(tensor);
    if (known !== undefined) return known;
    const address = this.engine.memory.alloc(tensor.numel * FLOAT);
    this.addresses.set(tensor, address);
    return address;
  }

  /** Takes the values of a tensor over, unless they are here already; returns their address. */
  borrow(tensor: Tensor): number {
    const address = this.addressOf(tensor);
    if (!tensor.isLentTo(this)) {
      this.engine.memory.f32(address, tensor.numel).set(tensor.data);
      tensor.lend(this);
    }
    return address;
  }

  giveBack(tensor: Tensor, values: TypedArray): void {
    values.set(this.engine.memory.f32(this.addresses.get(tensor)!, values.length));
  }

  /** Gives everything back. */
  returnAll(): void {
    for (const tensor of this.addresses.keys()) if (tensor.isLentTo(this)) void tensor.data;
  }

  /** Gives everything back and frees the memory. */
  dispose(): void {
    this.returnAll();
    for (const address of this.addresses.values()) this.engine.memory.free(address);
    this.addresses.clear();
  }
}
