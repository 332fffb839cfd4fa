/**
 * Normalizations in float: layerNorm by the row kernel; groupNorm and instanceNorm by the same over their groups, then a
 * scale and a shift for each channel; batchNorm in evaluation as a scale and a shift.
 */

import type { Argument, Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { ADD, MUL } from "../../kernels/f32-binary/kinds.ts";
import { numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import { ELEMENT_WORK, LINES, sharedLines } from "../lines.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { broadcastLines } from "./broadcast.ts";
import type { Range } from "./clamps.ts";
import { constantF32, constantI32 } from "./conv.ts";

const FLOAT = 4;
/** Numbers of a channel each are read four at a time. */
const LANES = 4;
/** Passes over a row. */
const ROW_PASSES = 3;

/** Normalizes `rows` rows of `length`; weight and bias are addresses of `length` numbers, or 0. */
function bindRows(
  { engine, at }: Place,
  [x, y]: readonly [Buffer, Buffer],
  length: number,
  { weight, bias, eps }: { readonly weight: number; readonly bias: number; readonly eps: number },
): () => void {
  const count = numel(x.type.shape);
  const rows = length === 0 ? 0 : count / length;
  const args = [0, rows, length, at(x), at(y), weight, bias, eps] as const;
  return () => engine.share("f32_layer_norm", [...args], { at: 0, unit: 1 }, ROW_PASSES * ELEMENT_WORK * count);
}

/** y = y * scale[channel] + shift[channel] over row-major [N, C, ...], `from` being read the first time. */
function bindChannels(
  place: Place,
  from: Buffer,
  y: Buffer,
  scale: ArrayLike<number> | null,
  shift: ArrayLike<number> | null,
): () => void {
  const { engine, at } = place;
  const { shape } = y.type;
  const { length, each, starts } = broadcastLines(shape, [shape, [shape[1]!, ...shape.slice(2).map(() => 1)]]);
  const [whole, own] = starts.map((offsets) =>
    constantI32(
      place,
      offsets.map((offset) => offset * FLOAT),
    ),
  ) as [number, number];
  const lines = starts[0]!.length;
  const pass = (source: number, kind: number, values: ArrayLike<number>): (() => void) => {
    const args = [
      0, lines, whole, own, whole, source, constantF32(place, values), at(y), length, kind, 1, Number(each[1]), -Infinity, Infinity,
    ] as const; // prettier-ignore
    return () => engine.share("f32_binary", [...args], LINES, ELEMENT_WORK * lines * length);
  };
  const passes = scale ? [pass(at(from), MUL, scale)] : [];
  if (shift) passes.push(pass(scale ? at(y) : at(from), ADD, shift));
  return () => passes.forEach((run) => run());
}

/** The same over an image, in one pass. */
function bindPixels(
  place: Place,
  x: Buffer,
  y: Buffer,
  [scale, shift]: readonly [readonly number[], readonly number[]],
  { low, high }: Range,
): () => void {
  const { engine, at } = place;
  const { count, length, tables } = sharedLines(place, [x, y]);
  const channels = scale.length;
  const vector = (values: readonly number[]): number => constantF32(place, values, Math.ceil(channels / LANES) * LANES);
  const args = [
    0, count, tables[0]!, tables[1]!, at(x), at(y), length / channels, channels, vector(scale), vector(shift), low, high,
  ] as const; // prettier-ignore
  return () => engine.share("f32_channel_affine", [...args], LINES, ELEMENT_WORK * count * length);
}

function addStep(
  node: Node,
  plan: PlanBuilder,
  reads: readonly Buffer[],
  bind: (place: Place, x: Buffer, y: Buffer) => () => void,
): void {
  const x = plan.read(node.args[0]!, node, { kind: "flat" });
  const y = plan.write(node.outputs[0]!, "flat");
  plan.step({
    node,
    kernel: `f32 ${node.target}`,
    precision: "float",
    why: "",
    operations: 0,
    reads: [x, ...reads],
    writes: [y],
    bind: (place) => bind(place, x, y),
  });
}

const NOT_FLOAT = "only float32 tensors have a kernel";

function emitLayerNorm(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  if (plan.type(x!).dtype !== "float32") return NOT_FLOAT;
  const read = (arg: Argument | undefined): Buffer | null =>
    arg instanceof Value ? plan.read(arg, node, { kind: "flat" }) : null;
  const [weight, bias] = [read(w), read(b)];
  const length = numel(node.attrs["normalizedShape"] as Shape);
  const eps = node.attrs["eps"] as number;
  addStep(
    node,
    plan,
    [weight, bias].filter((buffer) => buffer !== null),
    (place, from, to) => {
      const address = (buffer: Buffer | null): number => (buffer ? place.at(buffer) : 0);
      return bindRows(place, [from, to], length, { weight: address(weight), bias: address(bias), eps });
    },
  );
}

/** Stored numbers of a channel each: null where there are none, a string where they are not stored. */
function storedNumbers(args: readonly (Argument | undefined)[], plan: PlanBuilder): (Tensor | null)[] | string {
  const stored = args.map((arg) => plan.constant(arg ?? null));
  return args.some((arg, i) => arg instanceof Value && !stored[i]) ? "weight or bias is not a stored tensor" : stored;
}

/** `length` gives the elements with common statistics. */
function emitGroups(length: (shape: Shape, node: Node) => number): StepRule["emit"] {
  return (node, plan) => {
    const { dtype, shape } = plan.type(node.args[0]!);
    const stored = storedNumbers(node.args.slice(1, 3), plan);
    if (dtype !== "float32") return NOT_FLOAT;
    if (typeof stored === "string") return stored;
    if (node.args.slice(3).some((arg) => arg instanceof Value)) return "only statistics of the input have a kernel";
    const [weight, bias] = stored;
    addStep(node, plan, [], (place, x, y) => {
      const eps = node.attrs["eps"] as number;
      const normalize = bindRows(place, [x, y], length(shape, node), { weight: 0, bias: 0, eps });
      const channels = bindChannels(place, y, y, weight?.data ?? null, bias?.data ?? null);
      return () => {
        normalize();
        channels();
      };
    });
  };
}

function emitBatchNorm(node: Node, plan: PlanBuilder): string | void {
  const [x, ...numbers] = node.args;
  const stored = storedNumbers(numbers.slice(0, 4), plan);
  if (node.attrs["training"] === true) return "there is no kernel for training";
  if (plan.type(x!).dtype !== "float32") return NOT_FLOAT;
  if (typeof stored === "string") return stored;
  const [weight, bias, mean, variance] = stored;
  if (!mean || !variance) return "there are no running statistics";
  const eps = node.attrs["eps"] as number;
  const scale = Array.from(variance.data, (v, c) => (weight?.data[c] ?? 1) / Math.sqrt(v + eps));
  const shift = scale.map((k, c) => (bias?.data[c] ?? 0) - mean.data[c]! * k);
  if (!plan.isReadAsImage(node.outputs[0]!) || plan.type(x!).shape.length !== 4) {
    addStep(node, plan, [], (place, from, to) => bindChannels(place, from, to, scale, shift));
    return;
  }
  const input = plan.read(x!, node, { kind: "image" });
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, "image");
  plan.step({
    node,
    kernel: "f32 batchNorm",
    precision: "float",
    why: "",
    operations: 2 * numel(output.type.shape),
    reads: [input],
    writes: [output],
    bind: (place) => bindPixels(place, input, output, [scale, shift], range),
  });
}

export const normRules: readonly (readonly [string, StepRule])[] = [
  ["layerNorm", { emit: emitLayerNorm }],
  [
    "groupNorm",
    {
      emit: emitGroups((shape, { attrs }) => (shape[1]! / (attrs["numGroups"] as number)) * numel(shape.slice(2))),
    },
  ],
  ["instanceNorm", { emit: emitGroups((shape) => numel(shape.slice(2))) }],
  ["batchNorm", { emit: emitBatchNorm }],
];
