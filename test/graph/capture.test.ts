import { describe, expect, test } from "vitest";
import { GraphError, ShapeError } from "../../src/errors.ts";
import { GraphModule, capture, loadGraph, parseGraph, printGraph, saveGraph } from "../../src/graph/index.ts";
import { GRU, LSTM, LSTMCell, RNN } from "../../src/nn/index.ts";
import { Module } from "../../src/nn/module.ts";
import { linear } from "../../src/ops/linear.ts";
import "../../src/ops/methods.ts";
import { backward } from "../../src/autograd/backward.ts";
import { ones, randn, tensor, zeros } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import { Parameter } from "../../src/tensor/tensor.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const generator = new Generator(1);

class Fc extends Module {
  weight = new Parameter(randn([3, 4], { generator }));
  bias = new Parameter(zeros([3]));

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

class Net extends Module {
  first = new Fc();
  scale = tensor([2]);

  forward(x: Tensor): Tensor {
    const y = this.first.forward(x);
    return y.mul(this.scale).add(y).reshape([x.shape[0]!, 3, 1]);
  }
}

test("a module becomes a readable program with sources", () => {
  const net = new Net();
  const { graph } = capture(net, [zeros([2, 4])]);
  const text = printGraph(graph);
  expect(text).toContain('attribute "first.weight" : float32[3,4]');
  expect(text).toMatch(
    /%linear = linear\(%x, %first_weight, %first_bias\) : float32\[2,3\] @ "first" "Fc" "capture\.test\.ts:\d+"/,
  );
  expect(graph.fixedBatch).toBeNull();
});

test("the graph gives what the module gives, for other batch sizes too", () => {
  const net = new Net();
  const graphModule = capture(net, [zeros([2, 4])]);
  for (const batch of [1, 2, 5]) {
    const x = randn([batch, 4], { generator });
    expect(graphModule.run(x).data).toEqual(net.forward(x).data);
  }
});

test("gradients flow through the interpreter", () => {
  const net = new Net();
  const graphModule = capture(net.clone(), [zeros([2, 4])]);
  const x = randn([2, 4], { generator });
  backward(net.forward(x).sum());
  backward(graphModule.run(x).sum());
  const grads = new Map(graphModule.namedParameters().map(([name, p]) => [name, p.grad!.data]));
  for (const [name, parameter] of net.namedParameters()) expect(grads.get(name)).toEqual(parameter.grad!.data);
});

test("parse(print(g)) is g, and files keep everything", () => {
  const graphModule = capture(new Net(), [zeros([2, 4])]);
  const text = printGraph(graphModule.graph);
  expect(printGraph(parseGraph(text, graphModule.graph.attributes))).toBe(text);
  const loaded = loadGraph(saveGraph(graphModule));
  expect(printGraph(loaded.graph)).toBe(text);
  const x = randn([3, 4], { generator });
  expect(loaded.run(x).data).toEqual(graphModule.run(x).data);
});

test("a file whose graph claims another type than a stored tensor has is refused", () => {
  const { graph } = capture(new Net(), [zeros([2, 4])]);
  const stored = graph.nodes.find(({ kind, output }) => kind === "attribute" && output.type!.shape.length === 1)!;
  const type = stored.output.type!;
  stored.output.type = { ...type, shape: [type.shape[0]! + 1000] };
  expect(() => loadGraph(saveGraph(new GraphModule(graph)))).toThrow(/claims another type than its stored tensor has/);
});

test("nested containers go in and come out", () => {
  class Pair extends Module<[{ a: Tensor; rest: Tensor[] }], { sum: Tensor; both: [Tensor, number] }> {
    forward({ a, rest }: { a: Tensor; rest: Tensor[] }): { sum: Tensor; both: [Tensor, number] } {
      const sum = a.add(rest[0]!);
      return { sum, both: [sum.mul(rest[1]!), 7] };
    }
  }
  const input = { a: ones([2]), rest: [ones([2]), tensor([3, 4])] };
  const out = capture(new Pair(), [input]).forward(input) as { sum: Tensor; both: [Tensor, number] };
  expect(out.sum.tolist()).toEqual([2, 2]);
  expect([out.both[0].tolist(), out.both[1]]).toEqual([[6, 8], 7]);
});

describe("bad input", () => {
  test("reading values names the line", () => {
    class Reads extends Module {
      forward(x: Tensor): Tensor {
        return x.sum().item() > 0 ? x : x.neg();
      }
    }
    expect(() => capture(new Reads(), [ones([2, 2])])).toThrow(
      /values of a tensor were read while capturing.*capture\.test\.ts:\d+/,
    );
  });

  test("a baked batch size is refused at run with the user's line, or at capture when asked", () => {
    class Bakes extends Module {
      forward(x: Tensor): Tensor {
        return x.mul(zeros([x.shape[0]!, 1]));
      }
    }
    const graphModule = capture(new Bakes(), [ones([2, 2])]);
    expect(graphModule.run(ones([2, 2])).shape).toEqual([2, 2]);
    expect(() => graphModule.run(ones([3, 2]))).toThrow(/only runs for batch size 2.*capture\.test\.ts:\d+/);
    expect(() => capture(new Bakes(), [ones([2, 2])], { dynamicBatch: true })).toThrow(GraphError);
  });

  test("wrong inputs are refused", () => {
    const graphModule = capture(new Net(), [zeros([2, 4])]);
    expect(() => graphModule.run(zeros([2, 5]))).toThrow(ShapeError);
    expect(() => graphModule.run(zeros([2, 4]), zeros([1]))).toThrow(GraphError);
    expect(() => capture(new Net(), [])).toThrow(/at least one tensor/);
  });

  test("parse errors name line and column", () => {
    expect(() => parseGraph("graph @g(%x: float32[1]) {\n  %y = relu(%z) : float32[1]\n}")).toThrow(
      /expected a value that was defined before.*line = 2, column = 13/,
    );
    expect(() => parseGraph("graph @g(%x: float32[1]) {\n  %y = relu(%x) {a=[1} : float32[1]\n}")).toThrow(
      /expected \].*line = 2, column = 22/,
    );
    expect(() => parseGraph("graph @g(%x: float32[1]) {\n  return %x %x\n}")).toThrow(
      /expected the end of the line.*line = 2, column = 13/,
    );
    expect(() => parseGraph(" \n")).toThrow(/the text is empty/);
  });

  test("text keeps every kind of data, name and comment", () => {
    const text = [
      'graph @my net, 2(%x: qint8[2,1]<{"kind":"perChannel","scales":[0.5,1e-7],"zeroPoints":[0,-3],"axis":0}>, %y: ?) {',
      '  takes {"kind":"list","items":[{"kind":"leaf"},{"kind":"dict","entries":[["a \\"b\\" // c",{"kind":"leaf"}]]}]}',
      '  fixedBatch {"size":2,"reason":"it says %x : \\\\","location":""}',
      '  %a, %b = module "layers.0 \\"q\\""(%x, null, -1.5e-9) : float32[], quint8[3]<scale=0.5, zp=-3> @ "" "M" "m.ts:1"',
      '  %c = other::op.Two(%a, 1e+21) {n="$NaN", list=["$-Infinity",[1,[]],"$-0"], o={"axis":0,"no":null}, t=true} : ?',
      '  update "m.count" = %c',
      "  return ",
      "}",
    ];
    const graph = parseGraph(`\n${text.join("  // 1 user\n")}`);
    expect(printGraph(graph).replace(/ {2}\/\/ \d[^"\n]*$/gm, "")).toBe(`${text.join("\n")}\n`);
    expect(graph.nodes.at(-1)!.attrs["n"]).toBeNaN();
  });
});

describe("recurrent layers", () => {
  test.each([
    ["LSTM", new LSTM(3, 4, { batchFirst: true, numLayers: 2, bidirectional: true })],
    ["GRU", new GRU(3, 4, { batchFirst: true })],
    ["RNN", new RNN(3, 4, { batchFirst: true })],
  ] as const)("%s without a given state serves any batch size", (_, layer) => {
    const graph = capture(layer, [randn([2, 5, 3])]);
    expect(graph.graph.fixedBatch).toBeNull();
    const x = randn([6, 5, 3]);
    const [own] = graph.forward(x) as [Tensor];
    const [expected] = (layer as unknown as { forward(x: Tensor): [Tensor] }).forward(x);
    expect(own.data).toEqual(expected.data);
  });

  test("cells do too", () => {
    const cell = new LSTMCell(3, 4);
    const graph = capture(cell, [randn([2, 3])]);
    const x = randn([5, 3]);
    expect((graph.forward(x) as Tensor[]).map(({ data }) => data)).toEqual(cell.forward(x).map(({ data }) => data));
  });
});
