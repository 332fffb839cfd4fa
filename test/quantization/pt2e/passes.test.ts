/** Passes that quantizers may run by name, and GRUs that are quantized at their ends only. */

import { describe, expect, it } from "vitest";
import { capture, rewriting } from "../../../src/graph/index.ts";
import type { GraphModule } from "../../../src/graph/index.ts";
import { randn, relu } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import { GRU, Linear, Module } from "../../../src/nn/index.ts";
import * as pt2e from "../../../src/quantization/pt2e/index.ts";

class TwoReaders extends Module {
  first = new Linear(4, 4);
  left = new Linear(4, 4);
  right = new Linear(4, 4);
  forward(x: Tensor): Tensor {
    const y = relu(this.first.forward(x));
    return this.left.forward(y).add(this.right.forward(y));
  }
}

class Recurrent extends Module {
  gru = new GRU(4, 4, { batchFirst: true });
  head = new Linear(4, 2);
  forward(x: Tensor): Tensor {
    const [y] = this.gru.forward(x);
    return this.head.forward(y);
  }
}

function converted(model: Module, x: Tensor): GraphModule {
  const config = pt2e.getSymmetricQuantizationConfig();
  const prepared = pt2e.preparePt2e(capture(model.eval(), [x]), new pt2e.XnnpackQuantizer().setGlobal(config));
  prepared.forward(x);
  return pt2e.convertPt2e(prepared);
}

const pathsOf = (graph: GraphModule, pattern: RegExp): string[] =>
  graph.graph.nodes.filter(({ target }) => pattern.test(target)).map(({ source }) => source.path);

describe("passes by name", () => {
  it("give every reader a dequantize, with the reader's source", () => {
    const graph = converted(new TwoReaders(), randn([2, 4]));
    const dequantized = pathsOf(graph, /^decomposedDequantizePerTensor/);
    for (const path of ["first", "left", "right"]) expect(dequantized.filter((own) => own === path).length).toBe(2);
  });

  it("change nothing when run again", () => {
    const graph = converted(new TwoReaders(), randn([2, 4]));
    const before = graph.toString();
    rewriting.runPasses(graph.graph, [pt2e.DuplicateDQPass, pt2e.PortNodeMetaForQDQ]);
    expect(graph.toString()).toBe(before);
  });
});

describe("XnnpackQuantizer and GRU", () => {
  it("quantizes its input and output and leaves its inside in float", () => {
    const graph = converted(new Recurrent(), randn([2, 3, 4]));
    const inside = graph.graph.nodes.filter(({ source, target }) => source.path === "gru" && target === "linear");
    expect(inside.length).toBeGreaterThan(1);
    for (const node of inside) expect(node.inputs[1]!.node.target).not.toMatch(/equantize/);
    const quantizes = graph.graph.nodes.filter(({ target }) => target === "decomposedQuantizePerTensor");
    expect(quantizes.map((node) => node.inputs[0]!.node.source.path)).toEqual(["", "gru", "head"]);
  });
});
