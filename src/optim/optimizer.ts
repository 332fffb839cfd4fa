/**
 * What all optimizers share: parameter groups, per-parameter state, and saving it.
 *
 * An optimizer changes parameters in place (`Parameter.assign` or their data), one `step` a batch. State is a
 * list of typed arrays per parameter, in the order of the groups, so that it can be saved and loaded.
 */

import type { KernelExports } from "../engine/generated/exports.ts";
import { ArgumentError } from "../errors.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { Parameter, emptyLike } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface GroupOptions {
  /** Learning rate; schedulers change it. */
  lr: number;
}

export type ParamGroup<O extends GroupOptions> = O & { readonly params: readonly Parameter[] };

export type ParamsArgument<O> =
  Iterable<Parameter> | readonly ({ readonly params: Iterable<Parameter> } & Partial<O>)[];

export interface OptimizerState {
  readonly groups: readonly Readonly<Record<string, unknown>>[];
  readonly slots: readonly (readonly [index: number, step: number, arrays: Readonly<Record<string, number[]>>])[];
}

/** State of one parameter: how often it was stepped, and named tensors of its size. */
export class Slot {
  step = 0;
  readonly tensors: Record<string, Tensor> = {};

  /** The named tensor, zero-filled when asked for the first time. */
  tensor(name: string, parameter: Parameter): Tensor {
    return (this.tensors[name] ??= emptyLike(parameter));
  }

  /** Its values. */
  array(name: string, parameter: Parameter): TypedArray {
    return this.tensor(name, parameter).data;
  }
}

/** An update rule as a kernel of the engine, which compiled training steps call instead of `update`. */
export interface OptimizerKernel<O extends GroupOptions> {
  /** Names of the state arrays with these options, in the order in which `run` gets their addresses. */
  arrays(options: O): readonly string[];
  /** Updates `n` float32 values at `values` by the gradient at `gradient`; addresses in the engine's memory. */
  run(
    kernels: KernelExports,
    n: number,
    values: number,
    gradient: number,
    arrays: readonly number[],
    step: number,
    options: O,
  ): void;
}

/** @throws ArgumentError naming the option, unless it lies in `min`..`max`. */
export function checkRange(where: string, options: Readonly<Record<string, number>>, min = 0, max = Infinity): void {
  for (const [name, value] of Object.entries(options)) {
    if (value >= min && value <= max) continue;
    throw new ArgumentError(where, { [name]: value }, `${name} must lie in ${min}..${max}`);
  }
}

/** What a compiled training step needs of an optimizer, whatever its options are. */
export interface SteppedOptimizer {
  readonly paramGroups: readonly (GroupOptions & { readonly params: readonly Parameter[] })[];
  step(): void;
  advance(parameter: Parameter): Slot;
  kernelFor(options: never): OptimizerKernel<never> | null;
}

export abstract class Optimizer<O extends GroupOptions = GroupOptions> {
  readonly paramGroups: ParamGroup<O>[];
  protected readonly slots = new Map<Parameter, Slot>();

  /** @throws ArgumentError when there is nothing to optimize. */
  constructor(params: ParamsArgument<O>, defaults: O) {
    const list = [...params] as (Parameter | ({ params: Iterable<Parameter> } & Partial<O>))[];
    const groups = list[0] instanceof Parameter ? [{ params: list as Parameter[] }] : list;
    this.paramGroups = (groups as ({ params: Iterable<Parameter> } & Partial<O>)[]).map((group) => ({
      ...defaults,
      ...group,
      params: [...group.params],
    }));
    const all = this.paramGroups.flatMap((group) => group.params);
    if (all.length === 0) throw new ArgumentError(this.constructor.name, {}, "there are no parameters to optimize");
    if (new Set(all).size !== all.length) {
      throw new ArgumentError(this.constructor.name, {}, "a parameter may be in one group only");
    }
  }

  /** Applies one update to every parameter that has a gradient. */
  step(): void {
    for (const group of this.paramGroups) {
      for (const parameter of group.params) {
        if (parameter.grad) this.update(parameter, parameter.grad.data, this.advance(parameter), group);
      }
    }
  }

  /** Counts one more step of a parameter and returns its state; for compiled steps, which update it themselves. */
  advance(parameter: Parameter): Slot {
    const slot = this.slots.get(parameter) ?? new Slot();
    this.slots.set(parameter, slot);
    slot.step++;
    return slot;
  }

  /** The kernel that does the same as `update` with these options, bit for bit; null when there is none. */
  kernelFor(_options: ParamGroup<O>): OptimizerKernel<O> | null {
    return null;
  }

  /** The update rule of one parameter; changes `parameter.data` in place. */
  protected abstract update(parameter: Parameter, gradient: TypedArray, slot: Slot, options: ParamGroup<O>): void;

  zeroGrad(): void {
    for (const group of this.paramGroups) for (const parameter of group.params) parameter.grad = null;
  }

  /** Everything needed to go on later, as plain data. */
  state(): OptimizerState {
    const all = this.paramGroups.flatMap((group) => group.params);
    return {
      groups: this.paramGroups.map(({ params: _, ...options }) => ({ ...options })),
      slots: all.flatMap((parameter, index) => {
        const slot = this.slots.get(parameter);
        if (!slot) return [];
        const arrays = Object.fromEntries(
          Object.entries(slot.tensors).map(([name, { data }]) => [name, Array.from(data)]),
        );
        return [[index, slot.step, arrays] as const];
      }),
    };
  }

  /** @throws ArgumentError when the state is of an optimizer with other groups or parameters. */
  load(state: OptimizerState): void {
    const all = this.paramGroups.flatMap((group) => group.params);
    const fits =
      state.groups.length === this.paramGroups.length &&
      state.slots.every(([index, , arrays]) =>
        Object.values(arrays).every((values) => values.length === all[index]?.numel),
      );
    if (!fits)
      throw new ArgumentError(
        `${this.constructor.name}.load`,
        { groups: state.groups.length },
        "the state is of other parameters",
      );
    state.groups.forEach((options, i) => Object.assign(this.paramGroups[i]!, options));
    this.slots.clear();
    for (const [index, step, arrays] of state.slots) {
      const slot = new Slot();
      slot.step = step;
      for (const [name, values] of Object.entries(arrays)) slot.array(name, all[index]!).set(values);
      this.slots.set(all[index]!, slot);
    }
  }
}
