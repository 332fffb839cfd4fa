/**
 * Numbers and rows chosen by indices or masks, which are tensors on the JavaScript heap: embedding, gather, where.
 */

import type { Argument, Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { rowAt } from "../../ops/embedding.ts";
import { broadcastStrides, numel } from "../../tensor/shape.ts";
import { forEachRow } from "../../ops/strided.ts";
import { forEachIndexed } from "../../ops/gather.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import { elementBytes, elementOf } from "../form.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";

const NOT_IN_ENGINE = "only float32 and 8-bit tensors have a kernel";

/** Indices or a mask: stored, or computed before the step. */
type Chooser = Tensor | Buffer;

function readChooser(arg: Argument, node: Node, plan: PlanBuilder): Chooser {
  return plan.constant(arg) ?? plan.read(arg, node, { kind: "host" });
}

function bindChooser({ host }: Place, chooser: Chooser): () => Tensor {
  if ("data" in chooser) return () => chooser;
  const slot = host(chooser);
  return () => slot.tensor!;
}

function addStep(
  node: Node,
  plan: PlanBuilder,
  sources: readonly Buffer[],
  chooser: Chooser,
  bind: (place: Place, output: Buffer, choose: () => Tensor) => () => void,
): void {
  const output = plan.write(node.output, "flat");
  plan.copy({
    node,
    kernel: node.target,
    reads: "data" in chooser ? sources : [...sources, chooser],
    writes: [output],
    bind: (place) => bind(place, output, bindChooser(place, chooser)),
  });
}

function emitEmbedding(node: Node, plan: PlanBuilder): string | void {
  const [weight, indices] = node.args;
  if (elementOf(plan.type(weight!).dtype) === "host") return NOT_IN_ENGINE;
  const [rows, features] = plan.type(weight!).shape as [number, number];
  const table = plan.read(weight!, node, { kind: "flat" });
  addStep(node, plan, [table], readChooser(indices!, node, plan), ({ engine, at }, output, choose) => {
    const [source, target, bytes] = [at(table), at(output), features * elementBytes(table.element)];
    return () => {
      const memory = new Uint8Array(engine.memory.wasm.buffer);
      const chosen = choose();
      for (let i = 0; i < chosen.numel; i++) {
        const from = source + rowAt(node.target, chosen, i, rows) * bytes;
        memory.copyWithin(target + i * bytes, from, from + bytes);
      }
    };
  });
}

/** The engine's memory as elements of a buffer's size; addresses count in elements. */
function elementsOf({ engine }: Place, { element }: Buffer): Uint32Array | Uint8Array {
  const { buffer } = engine.memory.wasm;
  return elementBytes(element) === 4 ? new Uint32Array(buffer) : new Uint8Array(buffer);
}

function emitGather(node: Node, plan: PlanBuilder): string | void {
  const [x, index] = node.args;
  const { dtype, shape } = plan.type(x!);
  if (elementOf(dtype) === "host") return NOT_IN_ENGINE;
  const dim = node.attrs["dim"] as number;
  const input = plan.read(x!, node, { kind: "flat" });
  addStep(node, plan, [input], readChooser(index!, node, plan), (place, output, choose) => {
    const size = elementBytes(input.element);
    const [source, target] = [place.at(input) / size, place.at(output) / size];
    return () => {
      const memory = elementsOf(place, input);
      forEachIndexed(
        node.target,
        shape,
        choose(),
        dim,
        (at, offset) => (memory[target + at] = memory[source + offset]!),
      );
    };
  });
}

/** A side of where: floats in the engine, or a number. */
type Side = Buffer | number;

function emitWhere(node: Node, plan: PlanBuilder): string | void {
  const [mask, ...args] = node.args;
  const type = plan.type(node.output);
  const fits = args.every(
    (arg) => typeof arg === "number" || (arg instanceof Value && plan.type(arg).dtype === "float32"),
  );
  if (type.dtype !== "float32" || !fits) return "only float32 tensors and numbers have a kernel";
  const sides = args.map((arg): Side => (typeof arg === "number" ? arg : plan.read(arg, node, { kind: "flat" })));
  const shapes = [plan.type(mask!).shape, ...args.map((arg) => (arg instanceof Value ? plan.type(arg).shape : []))];
  const strides = shapes.map((shape) => broadcastStrides(shape, type.shape));
  const buffers = sides.filter((side): side is Buffer => typeof side !== "number");
  addStep(node, plan, buffers, readChooser(mask!, node, plan), ({ engine, at }, output, choose) => {
    const places = sides.map((side) => (typeof side === "number" ? Float32Array.of(side) : at(side)));
    const target = at(output);
    return () => {
      const floatsOf = (place: number | Float32Array, i: number): Float32Array =>
        typeof place === "number" ? engine.memory.f32(place, numel(shapes[i]!)) : place;
      const [a, b] = places.map((place, i) => floatsOf(place, i + 1)) as [Float32Array, Float32Array];
      const y = engine.memory.f32(target, numel(type.shape));
      const { data } = choose();
      let to = 0;
      forEachRow(type.shape, strides, [0, 0, 0], (size, [m, i, j], [sm, si, sj]) => {
        for (let k = 0; k < size; k++, to++) y[to] = data[m! + k * sm!] ? a[i! + k * si!]! : b[j! + k * sj!]!;
      });
    };
  });
}

export const lookupRules: readonly (readonly [string, StepRule])[] = [
  ["embedding", { emit: emitEmbedding }],
  ["gather", { emit: emitGather }],
  ["where", { emit: emitWhere }],
];
