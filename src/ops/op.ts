/**
 * The operator record and the one way to call an operator.
 *
 * An operator is its name, its type rule (`infer`), its reference forward, and its backward written with
 * other operators. Eager execution, gradients, capture, interpretation and compilation all read this
 * record; nothing else in the tree may switch on operator names.
 */

import { ArgumentError, DtypeError } from "../errors.ts";
import { activeTracer, isGradEnabled } from "../tensor/context.ts";
import { dtypeInfo, isFloat, isQuantized } from "../tensor/dtype.ts";
import { roundingTo } from "../tensor/small-floats.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { record } from "../autograd/tape.ts";

export type AttrValue =
  null | undefined | boolean | number | string | readonly AttrValue[] | { readonly [key: string]: AttrValue };
/** Plain data only, so that a graph can print, parse and compare it. */
export type Attrs = { readonly [name: string]: AttrValue };

/** A tensor, a number literal standing for a 0-d tensor, or an optional tensor left out. */
export type OpInput = Tensor | number | null;

/** What the type rule sees of each input: the type of a tensor, the literal itself, or null. */
export type InputTypes<I extends readonly OpInput[]> = {
  readonly [K in keyof I]: I[K] extends Tensor ? TensorType : TensorType | Exclude<I[K], Tensor>;
};

export interface BackwardContext<I extends readonly OpInput[], A extends Attrs> {
  readonly inputs: I;
  readonly attrs: A;
  readonly outputs: readonly Tensor[];
  /** Gradient of every output; null for those nothing was computed from. The first is also `grad`. */
  readonly grads: readonly (Tensor | null)[];
  /** Which inputs a gradient is wanted for. */
  readonly needs: readonly boolean[];
}

export interface Op<I extends readonly OpInput[] = readonly OpInput[], A extends Attrs = Attrs> {
  readonly name: string;
  /** Dtype and shape of each output. @throws ShapeError, DtypeError */
  infer(inputs: InputTypes<I>, attrs: A): readonly TensorType[];
  /** The specification: plain loops (heavy ones may call a kernel that is tested to agree). */
  forward(inputs: I, attrs: A, types: readonly TensorType[]): readonly Tensor[];
  /**
   * Gradients for the inputs, in order; null where there is none. Gradients in a broadcast shape are
   * summed back by the caller. A string says why there is no gradient.
   */
  readonly backward: ((grad: Tensor, context: BackwardContext<I, A>) => readonly (Tensor | null)[]) | string;
  /**
   * What a call on a quantized first input means, where PyTorch has an integer kernel for it: the same thing said
   * with quantized operators. Without it, quantized inputs go through `infer` and `forward` like any other.
   */
  readonly quantized?: (inputs: I, attrs: A) => Tensor;
  /** True when two calls on the same inputs may differ (dropout): never merged, never computed ahead. */
  readonly isRandom?: boolean;
  /** True when an element of the output depends on the same element of the only tensor input, and on nothing else. */
  readonly isElementwise?: boolean;
  /** True when the types of the results depend on values of the inputs: `infer` knows none, a graph may leave them open. */
  readonly isValueDependent?: boolean;
}

const registry = new Map<string, Op>();

/** Adds an operator to the table by which graphs find it. @throws ArgumentError on a second one of that name. */
export function defineOp<I extends readonly OpInput[], A extends Attrs = Attrs>(op: Op<I, A>): Op<I, A> {
  if (registry.has(op.name)) throw new ArgumentError("defineOp", { name: op.name }, "the name is taken");
  registry.set(op.name, op as unknown as Op);
  return op;
}

/** @throws ArgumentError when there is no such operator. */
export function findOp(name: string): Op {
  const op = registry.get(name);
  if (!op) throw new ArgumentError("findOp", { name }, "there is no operator of that name");
  return op;
}

export function hasOp(name: string): boolean {
  return registry.has(name);
}

export function allOps(): readonly Op[] {
  return [...registry.values()];
}

/** 16- and 8-bit floats are stored in a Float32Array: what was computed there is rounded once more, as in PyTorch. */
function rounded(output: Tensor): Tensor {
  if (!isFloat(output.dtype) || dtypeInfo[output.dtype].bits > 16) return output;
  const round = roundingTo(output.dtype);
  const { data } = output;
  for (let i = 0; i < data.length; i++) data[i] = round(data[i]!);
  return output;
}

/**
 * Calls an operator: computes it, or hands it to a capture that is listening; and puts it on the tape when a
 * gradient is wanted, so that a capture may also ask for gradients and record how they are computed.
 */
export function dispatch<I extends readonly OpInput[], A extends Attrs>(
  op: Op<I, A>,
  inputs: I,
  attrs: A,
): readonly Tensor[] {
  const [first] = inputs;
  if (op.quantized && first instanceof Tensor && first.isQuantized) return [op.quantized(inputs, attrs)];
  const tracer = activeTracer();
  const types = op.infer(inputs as unknown as InputTypes<I>, attrs);
  const outputs = tracer ? tracer.record(op.name, inputs, attrs, types) : op.forward(inputs, attrs, types).map(rounded);
  if (isGradEnabled() && inputs.some((input) => input instanceof Tensor && input.requiresGrad)) {
    record(op as unknown as Op, inputs, attrs, outputs);
  }
  return outputs;
}

/** `dispatch` for operators with one output. */
export function apply<I extends readonly OpInput[], A extends Attrs>(op: Op<I, A>, inputs: I, attrs: A): Tensor {
  return dispatch(op, inputs, attrs)[0]!;
}

/** Type-rule helper. @throws DtypeError unless the dtype is a float. */
export function requireFloat(where: string, ...types: readonly (TensorType | number | null)[]): void {
  for (const type of types) {
    if (type === null || typeof type === "number" || isFloat(type.dtype)) continue;
    requireUnquantized(where, type);
    throw new DtypeError(where, { dtype: type.dtype, shape: type.shape }, "needs float tensors");
  }
}

/** Type-rule helper. @throws DtypeError for a quantized tensor. */
export function requireUnquantized(where: string, type: TensorType): void {
  if (!isQuantized(type.dtype)) return;
  throw new DtypeError(
    where,
    { dtype: type.dtype, shape: type.shape },
    "does not take quantized tensors",
    "An integer tensor reached a float operator: put a DeQuantStub (or dequantize) before it",
  );
}
