/**
 * Replay: the captured calls once more, with the types values will have after convert.
 *
 * Tensors carry a dtype and no data. Units run as what the dry conversion made of them, operators through the one
 * dispatch; so whether integers fit somewhere is answered by the very checks that would fail at run time. Where a call
 * refuses its inputs, a `Mismatch` is noted and the call is replayed with inputs it takes, so that one mistake does
 * not hide the next.
 */

import { DtypeError } from "../../errors.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { flattenTree } from "../../graph/tree.ts";
import type { AnyModule } from "../../nn/module.ts";
import { dispatch, findOp, hasOp } from "../../ops/op.ts";
import type { OpInput } from "../../ops/op.ts";
import { noGrad, withTracer } from "../../tensor/context.ts";
import type { Tracer } from "../../tensor/context.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import type { DryRun } from "./dry.ts";
import { functionalOf, isValue } from "./trace.ts";
import type { Trace } from "./trace.ts";

/** Operators a FloatFunctional has a form of. */
export const FUNCTIONAL: readonly string[] = ["add", "mul", "cat", "matmul"];

export interface Mismatch {
  /** "float": a float value came where integers are needed; "integer": the reverse; "mixed": both at one operator. */
  readonly kind: "float" | "integer" | "mixed";
  readonly node: Node;
  /** The argument at fault. */
  readonly argument: Value;
  readonly error: Error;
}

export interface Replay {
  /** The type each value has after convert. */
  readonly types: ReadonlyMap<Value, Tensor>;
  readonly mismatches: readonly Mismatch[];
  /** Floats that would be integers but for a mismatch further up. */
  readonly spoilt: ReadonlySet<Value>;
}

/** Answers every operator call by its type rule alone. */
export const typeTracer: Tracer = {
  record: (_op, _inputs, _attrs, types) => types.map(ghost),
  callModule: (_module, _args, run) => run(),
  assign: () => undefined,
};

/** A tensor with a type and no data. */
export function ghost({ dtype, shape, qparams }: TensorType): Tensor {
  return new Tensor(dtype, shape, null, qparams);
}

/** The same tensor as 8-bit integers. Scale and zero point are arbitrary: only the dtype is asked for. */
export function asInteger(x: Tensor): Tensor {
  return x.isQuantized ? x : ghost({ dtype: "quint8", shape: x.shape, qparams: perTensor(1, 0) });
}

/** The same tensor as floats. */
export function asFloat(x: Tensor): Tensor {
  return x.isQuantized ? ghost({ dtype: "float32", shape: x.shape }) : x;
}

/** Runs a function on ghosts: types come out, nothing is computed. */
export function typesOf(run: () => unknown): Tensor[] {
  return withTracer(typeTracer, () => noGrad(() => flattenTree(run()).leaves));
}

export function callModule(module: AnyModule, inputs: readonly OpInput[]): Tensor[] {
  return typesOf(() => (module as unknown as { forward(...args: readonly OpInput[]): unknown }).forward(...inputs));
}

export function callOperator(node: Node, inputs: readonly OpInput[]): Tensor[] {
  return typesOf(() => [...dispatch(findOp(node.target), inputs, node.attrs)]);
}

function mapTensors(inputs: readonly OpInput[], change: (x: Tensor) => Tensor): OpInput[] {
  return inputs.map((input) => (input instanceof Tensor ? change(input) : input));
}

interface Attempt {
  readonly kind: Mismatch["kind"];
  readonly inputs: readonly OpInput[];
}

/** The calls worth trying after the first failed, and what it means when one works. */
function attempts(inputs: readonly OpInput[]): Attempt[] {
  const tensors = inputs.filter((input): input is Tensor => input instanceof Tensor);
  const integers = tensors.filter((input) => input.isQuantized).length;
  const floats = tensors.filter((input) => isFloat(input.dtype)).length;
  const asFloats: Attempt = { kind: floats > 0 ? "mixed" : "integer", inputs: mapTensors(inputs, asFloat) };
  const change = (x: Tensor): Tensor => (isFloat(x.dtype) ? asInteger(x) : x);
  const asIntegers: Attempt = { kind: integers > 0 ? "mixed" : "float", inputs: mapTensors(inputs, change) };
  return integers > 0 ? [asFloats, asIntegers] : [asIntegers];
}

function culprit(node: Node, kind: Mismatch["kind"], inputs: readonly OpInput[]): Value {
  const wanted = node.args.find((arg, i) => {
    const input = inputs[i];
    return isValue(arg) && input instanceof Tensor && input.isQuantized === (kind === "integer");
  });
  return (wanted ?? node.inputs[0]) as Value;
}

function runUnit(trace: Trace, dry: DryRun, node: Node, inputs: readonly OpInput[]): Tensor[] {
  const suffix = ".activationPostProcess";
  if (node.target.endsWith(suffix)) return [inputs[0] as Tensor];
  const unit = dry.converted.get(node.target) ?? trace.graph.modules.get(node.target)!;
  const hasFloatWeights = unit === dry.prepared.get(node.target) && unit.parameters().length > 0;
  if (hasFloatWeights && inputs.some((input) => input instanceof Tensor && input.isQuantized)) {
    throw new DtypeError(node.target, { weights: "float32" }, "has float weights and got a quantized tensor");
  }
  return callModule(unit, inputs);
}

/** Sums through a functional are integer sums once its module is converted. */
function runNode(trace: Trace, dry: DryRun, node: Node, inputs: readonly OpInput[]): Tensor[] {
  if (node.kind === "module") return runUnit(trace, dry, node, inputs);
  if (!hasOp(node.target)) return node.outputs.map((value) => ghost(value.type!));
  const functional = functionalOf(node, trace.model) ?? scalarOwner(trace, node);
  const swapped = functional === null ? undefined : dry.converted.get(functional);
  if (!swapped || swapped.constructor.name !== "QFunctional") return callOperator(node, inputs);
  const float = inputs.some((input) => input instanceof Tensor && !input.isQuantized);
  if (float) throw new DtypeError(node.target, { functional }, "got a float tensor where it needs a quantized one");
  return node.outputs.map((value) => asInteger(ghost(value.type!)));
}

/** Path of the functional whose scalar form made this call. */
export function scalarOwner(trace: Trace, node: Node): string | null {
  const isScalar = (node.target === "add" || node.target === "mul") && node.args.some((arg) => typeof arg === "number");
  return isScalar ? (trace.scalarCalls.get(node.source.location) ?? null) : null;
}

function replayNode(trace: Trace, dry: DryRun, node: Node, inputs: readonly OpInput[], out: Mismatch[]): Tensor[] {
  try {
    return runNode(trace, dry, node, inputs);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    for (const { kind, inputs: other } of attempts(inputs)) {
      try {
        const outputs = runNode(trace, dry, node, other);
        out.push({ kind, node, argument: culprit(node, kind, inputs), error });
        return outputs;
      } catch {
        // The next attempt may do.
      }
    }
    return node.outputs.map((value) => ghost(value.type!));
  }
}

/** What a mistake at a node leaves behind, as if it were mended. */
function mended(node: Node, outputs: readonly Tensor[]): readonly Tensor[] {
  return node.kind === "operator" && FUNCTIONAL.includes(node.target) ? outputs.map(asInteger) : outputs;
}

/**
 * The types of all values after convert, and every place where they do not fit. Where a mistake leaves floats that the
 * rest of the model meets as well, only the mistake is noted: what it spoils further on is not another one.
 */
export function replay(trace: Trace, dry: DryRun): Replay {
  const types = new Map<Value, Tensor>();
  const mismatches: Mismatch[] = [];
  const spoilt = new Set<Value>();
  for (const node of trace.graph.nodes) {
    const inputs = node.args.map((arg) => (isValue(arg) ? types.get(arg)! : arg));
    const found: Mismatch[] = [];
    let outputs: readonly Tensor[];
    if (node.kind === "input" || node.kind === "attribute") outputs = node.outputs.map((value) => ghost(value.type!));
    else if (dry.meant.has(node.target)) outputs = node.outputs.map((value) => asInteger(ghost(value.type!)));
    else outputs = replayNode(trace, dry, node, inputs, found);
    const [mismatch] = found;
    if (mismatch && !spoilt.has(mismatch.argument)) {
      mismatches.push(mismatch);
      outputs = mended(node, outputs);
    }
    const carries = mismatch?.kind === "integer" || node.inputs.some((value) => spoilt.has(value));
    node.outputs.forEach((value, i) => {
      types.set(value, outputs[i]!);
      if (carries && !outputs[i]!.isQuantized) spoilt.add(value);
    });
  }
  return { types, mismatches, spoilt };
}
