/**
 * Joins along any axis, row-major: each input's rows go to their place in the output's rows. Bytes pass through the
 * table that changes scale and zero point.
 */

import type { Node } from "../../graph/graph.ts";
import { requantizeTable } from "../../kernels/qlut/reference.ts";
import { numel } from "../../tensor/shape.ts";
import { elementBytes, elementOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder } from "../plan.ts";
import { dequantizerOf, quantizerOf } from "./quantized-storage.ts";

/** Rows of an input within the output's: how many, how long, and where they begin; in elements. */
interface Rows {
  readonly rows: number;
  readonly count: number;
  readonly offset: number;
  readonly stride: number;
}

function bindCopy({ engine, at }: Place, from: Buffer, to: Buffer, { rows, count, offset, stride }: Rows): () => void {
  const size = elementBytes(from.element);
  const [source, target] = [at(from), at(to)];
  return () => {
    const memory = new Uint8Array(engine.memory.wasm.buffer);
    for (let row = 0; row < rows; row++) {
      const start = source + row * count * size;
      memory.copyWithin(target + (offset + row * stride) * size, start, start + count * size);
    }
  };
}

function bindRequantize(place: Place, node: Node, from: Buffer, to: Buffer, at: Rows, flip: 0 | 0x80): () => void {
  const { engine, constant } = place;
  const quantizer = quantizerOf(to.type, flip, "addThenRound", { relu: node.attrs["relu"] === true });
  const table = constant(256);
  engine.memory.u8(table, 256).set(requantizeTable(dequantizerOf(from.type, flip, false), quantizer));
  const [source, target] = [place.at(from), place.at(to) + at.offset];
  return () => engine.kernels.qlut_rows(at.rows, at.count, source, at.count, target, at.stride, table);
}

/** cat and quantizedCat on tensors of one dtype, whatever their rank and axis. */
export function emitJoin(node: Node, plan: PlanBuilder): string | void {
  const type = plan.type(node.output);
  if (elementOf(type.dtype) === "host") return "only float32 and 8-bit tensors have a kernel";
  if (node.args.some((arg) => plan.type(arg).dtype !== type.dtype)) return "the inputs differ in dtype";
  const dim = node.attrs["dim"] as number;
  const inputs = node.args.map((arg) => plan.read(arg, node, { kind: "flat" }));
  const output = plan.write(node.output, "flat");
  const isBytes = output.element === "byte";
  plan.step({
    node,
    kernel: isBytes ? "table of 256 into rows" : "copy rows",
    precision: isBytes ? "int8" : "copy",
    why: "",
    operations: isBytes ? numel(type.shape) : 0,
    reads: inputs,
    writes: [output],
    bind(place) {
      const stride = numel(type.shape.slice(dim));
      const rows = numel(type.shape.slice(0, dim));
      let offset = 0;
      const copies = inputs.map((input) => {
        const count = numel(input.form.shape.slice(dim));
        const own: Rows = { rows, count, offset, stride };
        offset += count;
        return isBytes
          ? bindRequantize(place, node, input, output, own, plan.flip)
          : bindCopy(place, input, output, own);
      });
      return () => copies.forEach((copy) => copy());
    },
  });
}
