/**
 * Fake quantization in training: observe, choose parameters, round, and the straight-through gradient.
 *
 * Kernels take each range and round; moving averages and the choice of scale and zero point, a few numbers, are the
 * reference's own code, so a compiled step has the observer state an eager one has, bit for bit.
 */

import type { Argument, Node } from "../../../graph/graph.ts";
import { Value } from "../../../graph/graph.ts";
import type { FakeQuantAttrs } from "../../../ops/quantize/fake-quantize.ts";
import { chooseFusedParameters } from "../../../ops/quantize/fused.ts";
import type { FusedAttrs } from "../../../ops/quantize/fused.ts";
import { observeMinMaxOp } from "../../../ops/quantize/observe.ts";
import type { ObserveAttrs } from "../../../ops/quantize/observe.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import { numel } from "../../../tensor/shape.ts";
import { Tensor } from "../../../tensor/tensor.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../../plan.ts";
import { constantI32 } from "../../steps/conv.ts";
import { linesOf } from "../../lines.ts";

const FLOAT = 4;
const LINES = { at: 0, unit: 1 };
const { fround } = Math;

/** A small tensor that steps read on the host. */
export interface HostValue {
  readonly buffers: readonly Buffer[];
  bind(place: Place): () => Tensor;
}

export function hostValue(plan: PlanBuilder, node: Node, argument: Argument): HostValue {
  const stored = plan.constant(argument);
  if (stored) return { buffers: [], bind: () => () => stored };
  const buffer = plan.read(argument, node, { kind: "host" });
  return {
    buffers: [buffer],
    bind(place) {
      const slot = place.host(buffer);
      return () => slot.tensor!;
    },
  };
}

/** How the elements of buffers are cut into slices of common parameters: all, or one slice for each entry of axis 0. */
interface Slices {
  readonly slices: number;
  /** Lines of one slice, and their length. */
  readonly count: number;
  readonly length: number;
  readonly tables: readonly number[];
}

function slicesOf(place: Place, buffers: readonly Buffer[], axis: number | null): Slices {
  if (axis === null) return { slices: 1, ...linesOf(place, buffers) };
  const { shape } = buffers[0]!.type;
  const length = numel(shape.slice(1));
  const table = constantI32(
    place,
    Array.from({ length: shape[0]! }, (_, i) => i * length * FLOAT),
  );
  return { slices: shape[0]!, count: 1, length, tables: buffers.map(() => table) };
}

const AXIS = "only whole tensors and slices of axis 0 have a kernel";

function refusal(plan: PlanBuilder, x: Argument, axis: number | null): string | null {
  if (!(x instanceof Value) || plan.type(x).dtype !== "float32") return "only float32 tensors have a kernel";
  return axis === null || axis === 0 ? null : AXIS;
}

/** The call that takes the range of every slice: a tensor [2] or [slices, 2], the ends of each. */
function bindRanges(place: Place, x: Buffer, axis: number | null): () => Tensor {
  const { engine, at, constant } = place;
  const { slices, count, tables: [table], length } = slicesOf(place, [x], axis); // prettier-ignore
  const out = constant(slices * 2 * FLOAT);
  const source = at(x);
  return () => {
    if (axis === null) engine.kernels.f32_min_max(0, count, table!, source, length, out);
    else engine.kernels.f32_rows_min_max(slices, length, source, out);
    const ends = engine.memory.f32(out, slices * 2).slice();
    return new Tensor("float32", axis === null ? [2] : [slices, 2], ends);
  };
}

/** Scale, its inverse and zero point of every row, for kernels on rows. */
function bindRowParameters({ engine, constant }: Place, rows: number): (rounding: Rounding) => number {
  const at = constant(rows * 3 * FLOAT);
  return ({ scale, zeroPoint }) => {
    const values = engine.memory.f32(at, rows * 3);
    for (let i = 0; i < rows; i++) {
      const s = fround(scale.data[i]!);
      values.set([s, 1 / s, zeroPoint.data[i]!], i * 3);
    }
    return at;
  };
}

/** Parameters to round with. */
export interface Rounding {
  readonly scale: Tensor;
  readonly zeroPoint: Tensor;
  readonly quantMin: number;
  readonly quantMax: number;
}

/** The call that rounds x into y by the parameters given. */
function bindRound(place: Place, x: Buffer, y: Buffer, axis: number | null): (rounding: Rounding) => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const { slices, count, length, tables } = slicesOf(place, [x, y], axis);
  const [source, target] = [at(x), at(y)];
  if (axis !== null) {
    const parameters = bindRowParameters(place, slices);
    return (rounding) => {
      const { quantMin, quantMax } = rounding;
      kernels.f32_rows_fake_quantize(slices, length, source, target, parameters(rounding), quantMin, quantMax);
    };
  }
  return ({ scale, zeroPoint, quantMin, quantMax }) => {
    const s = fround(scale.data[0]!);
    engine.share("f32_fake_quantize", [
      0, count, tables[0]!, tables[1]!, source, target, length, s, fround(1 / s), zeroPoint.data[0]!, quantMin, quantMax, quantMax,
    ], LINES, count * length * 8); // prettier-ignore
  };
}

/** Reads x so that its slices are contiguous lines. */
function readSliced(plan: PlanBuilder, node: Node, x: Argument, axis: number | null): Buffer {
  return plan.read(x, node, { kind: axis === null ? "any" : "flat" });
}

/** The state of an observe-and-fake-quantize node: what it reads and gives, and how a run moves it on. */
export interface FusedObserver {
  readonly reads: readonly Buffer[];
  readonly results: readonly Buffer[];
  /** The call that takes in a batch by its range and chooses the parameters to round with. */
  bind(place: Place): (ranges: () => Tensor) => Rounding;
}

/** For a node that rounds; its first output is left to the caller. */
export function fusedObserver(plan: PlanBuilder, node: Node): FusedObserver {
  const attrs = node.attrs as FusedAttrs;
  const { axis, quantMin, quantMax } = attrs;
  const values = node.args.slice(1).map((argument) => hostValue(plan, node, argument));
  const results = node.outputs.slice(1).map((value) => plan.write(value, "host"));
  const types = node.outputs.map((value) => plan.type(value));
  const observing: ObserveAttrs = { averagingConstant: attrs.averagingConst, axis };
  return {
    reads: values.flatMap(({ buffers }) => buffers),
    results,
    bind(place) {
      const reads = values.map((value) => value.bind(place));
      const slots = results.map((buffer) => place.host(buffer));
      return (ranges) => {
        const before = [reads[0]!(), reads[1]!()] as const;
        const after = attrs.observerOn
          ? observeMinMaxOp.forward([ranges(), ...before], observing, types.slice(1, 3))
          : before;
        const [min, max] = after as readonly [Tensor, Tensor];
        const [scale, zeroPoint] = chooseFusedParameters(min, max, attrs, types.slice(3));
        [min, max, scale, zeroPoint].forEach((tensor, i) => (slots[i]!.tensor = tensor));
        return { scale, zeroPoint, quantMin, quantMax };
      };
    },
  };
}

function emitFused(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const attrs = node.attrs as FusedAttrs;
  const { axis } = attrs;
  const refused = refusal(plan, x!, axis);
  if (refused) return refused;
  if (!attrs.fakeQuantOn) return "the kernel rounds always";
  const input = readSliced(plan, node, x!, axis);
  const observer = fusedObserver(plan, node);
  const output = plan.write(node.outputs[0]!, input.form.kind);
  plan.step({
    node,
    kernel: "f32 observe and fake-quantize",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, ...observer.reads],
    writes: [output, ...observer.results],
    bind(place) {
      const ranges = bindRanges(place, input, axis);
      const round = bindRound(place, input, output, axis);
      const observe = observer.bind(place);
      return () => round(observe(ranges));
    },
  });
}

/** Range observers: the two ends of a range have the range of all that lies between. */
function emitObserve(node: Node, plan: PlanBuilder): string | void {
  const [x, ...state] = node.args;
  const attrs = node.attrs as ObserveAttrs;
  const refused = refusal(plan, x!, attrs.axis);
  if (refused) return refused;
  const input = readSliced(plan, node, x!, attrs.axis);
  const values = state.map((argument) => hostValue(plan, node, argument));
  const results = node.outputs.map((value) => plan.write(value, "host"));
  const types = node.outputs.map((value) => plan.type(value));
  plan.step({
    node,
    kernel: "f32 observe",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, ...values.flatMap(({ buffers }) => buffers)],
    writes: results,
    bind(place) {
      const ranges = bindRanges(place, input, attrs.axis);
      const [min, max] = values.map((value) => value.bind(place));
      const slots = results.map((buffer) => place.host(buffer));
      return () =>
        observeMinMaxOp
          .forward([ranges(), min!(), max!()], attrs, types)
          .forEach((tensor, i) => (slots[i]!.tensor = tensor));
    },
  });
}

function hasFloatZeroPoint(plan: PlanBuilder, zeroPoint: Argument): boolean {
  return zeroPoint instanceof Value && isFloat(plan.type(zeroPoint).dtype);
}

/** Scale or zero point, tensors or numbers. */
function parameter(plan: PlanBuilder, node: Node, argument: Argument): HostValue {
  if (typeof argument !== "number") return hostValue(plan, node, argument);
  const tensor = new Tensor("float32", [1], Float32Array.of(argument));
  return { buffers: [], bind: () => () => tensor };
}

function emitFakeQuantize(node: Node, plan: PlanBuilder): string | void {
  const [x, scale, zeroPoint] = node.args;
  const { axis, quantMin, quantMax } = node.attrs as FakeQuantAttrs;
  const refused = refusal(plan, x!, axis);
  if (refused) return refused;
  if (axis !== null && hasFloatZeroPoint(plan, zeroPoint!)) return "float zero points have no kernel";
  const input = readSliced(plan, node, x!, axis);
  const [s, z] = [parameter(plan, node, scale!), parameter(plan, node, zeroPoint!)];
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel: "f32 fake-quantize",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, ...s.buffers, ...z.buffers],
    writes: [output],
    bind(place) {
      const round = bindRound(place, input, output, axis);
      const [readScale, readZeroPoint] = [s.bind(place), z.bind(place)];
      return () => round({ scale: readScale(), zeroPoint: readZeroPoint(), quantMin, quantMax });
    },
  });
}

function emitGradient(node: Node, plan: PlanBuilder): string | void {
  const [dy, x, scale, zeroPoint] = node.args;
  const { axis, quantMin, quantMax } = node.attrs as FakeQuantAttrs;
  const refused = refusal(plan, x!, axis);
  if (refused) return refused;
  if (axis !== null && hasFloatZeroPoint(plan, zeroPoint!)) return "float zero points have no kernel";
  const input = readSliced(plan, node, x!, axis);
  const gradient = plan.read(dy!, node, { kind: input.form.kind });
  const [s, z] = [parameter(plan, node, scale!), parameter(plan, node, zeroPoint!)];
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel: "f32 fake-quantize gradient",
    precision: "float",
    why: "",
    operations: 0,
    reads: [gradient, input, ...s.buffers, ...z.buffers],
    writes: [output],
    bind(place) {
      const pass = bindStraightThrough(place, gradient, input, output, axis);
      const [readScale, readZeroPoint] = [s.bind(place), z.bind(place)];
      return () => pass({ scale: readScale(), zeroPoint: readZeroPoint(), quantMin, quantMax });
    },
  });
}

/** dy where x rounds to an integer inside the range. */
function bindStraightThrough(
  place: Place,
  gradient: Buffer,
  input: Buffer,
  output: Buffer,
  axis: number | null,
): (rounding: Rounding) => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const { slices, count, length, tables } = slicesOf(place, [gradient, input, output], axis);
  const [dy, x, dx] = [at(gradient), at(input), at(output)];
  if (axis !== null) {
    const parameters = bindRowParameters(place, slices);
    return (rounding) => {
      const { quantMin, quantMax } = rounding;
      kernels.f32_rows_fake_quantize_grad(slices, length, dy, x, dx, parameters(rounding), quantMin, quantMax);
    };
  }
  return ({ scale, zeroPoint, quantMin, quantMax }) =>
    engine.share("f32_fake_quantize_grad", [
      0, count, tables[0]!, tables[1]!, tables[2]!, dy, x, dx, length, fround(1 / fround(scale.data[0]!)), zeroPoint.data[0]!,
      quantMin, quantMax,
    ], LINES, count * length * 8); // prettier-ignore
}

export const fakeQuantizeRules: readonly (readonly [string, StepRule])[] = [
  ["fusedMovingAvgObsFakeQuant", { emit: emitFused }],
  ["observeMinMax", { emit: emitObserve }],
  ["fakeQuantize", { emit: emitFakeQuantize }],
  ["fakeQuantizeGradient", { emit: emitGradient }],
];
