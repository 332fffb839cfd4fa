import { expect, test } from "vitest";
import { GraphError } from "../../src/errors.ts";
import { capture } from "../../src/graph/capture.ts";
import { Value } from "../../src/graph/graph.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { any, constant, literal, op } from "../../src/graph/match.ts";
import { commonSubexpressions, constantFolding, deadCode } from "../../src/graph/passes/cleanup.ts";
import { rewritePass, rule, runPasses } from "../../src/graph/rewrite.ts";
import { verify } from "../../src/graph/verify.ts";
import { Module } from "../../src/nn/module.ts";
import "../../src/ops/methods.ts";
import { ones, tensor } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

function graphOf(fn: (x: Tensor) => Tensor): Graph {
  class Fn extends Module {
    forward(x: Tensor): Tensor {
      return fn(x);
    }
  }
  return capture(new Fn(), [ones([2])]).graph;
}

const targets = (graph: Graph): string[] =>
  graph.nodes.filter((node) => node.kind === "operator").map((node) => node.target);

const x = any();
const doubleNeg = rule("neg-neg", op("neg", op("neg", x)), (m) => m.arg(x));
const two = literal();
const mulByTwo = rule("mul-two", op("mul", x, two), (m, build) =>
  m.arg(two) === 2 ? build.call("add", [m.arg(x), m.arg(x)]) : null,
);

test("rules apply until none does, and dead nodes go", () => {
  const graph = runPasses(
    graphOf((v) => v.neg().neg().neg().neg().mul(2)),
    [rewritePass("simplify", [doubleNeg, mulByTwo])],
  );
  expect(targets(graph)).toEqual(["add"]);
  expect(graph.outputs).toHaveLength(1);
});

test("usedOnce keeps shared nodes", () => {
  const inner = op("neg", x).usedOnce();
  const fuse = rewritePass("fuse", [rule("f", op("exp", inner), (m, build) => build.call("abs", [m.arg(x)]))]);
  const shared = graphOf((v) => {
    const n = v.neg();
    return n.exp().add(n);
  });
  fuse.run(shared);
  expect(targets(shared)).toEqual(["neg", "exp", "add"]);
});

test("a commutative pattern matches in both orders; the same capture twice means the same value", () => {
  const c = constant();
  const pattern = op("add", x, c).commutative();
  const k = tensor([1, 2]);
  for (const graph of [graphOf((v) => v.add(k)), graphOf((v) => k.add(v))]) {
    rewritePass("p", [rule("r", pattern, (m, build) => build.call("neg", [m.arg(x)]))]).run(graph);
    expect(targets(graph)).toEqual(["neg"]);
  }
  const square = rule("square", op("mul", x, x), (m, build) => build.call("abs", [m.arg(x)]));
  const both = graphOf((v) => v.mul(v).mul(v));
  rewritePass("s", [square]).run(both);
  expect(targets(both)).toEqual(["abs", "mul"]);
});

test("rules that go in circles are stopped and named", () => {
  const flip = rule("flip", op("abs", x), (m, build) => build.call("neg", [m.arg(x)]));
  const flop = rule("flop", op("neg", x), (m, build) => build.call("abs", [m.arg(x)]));
  expect(() => rewritePass("loop", [flip, flop]).run(graphOf((v) => v.abs()))).toThrow(/circles/);
});

test("common subexpressions merge and constants fold", () => {
  const k = tensor([3, 4]);
  const graph = graphOf((v) => v.add(k.neg()).mul(v.add(k.neg())));
  runPasses(graph, [commonSubexpressions, constantFolding(), deadCode]);
  expect(targets(graph)).toEqual(["add", "mul"]);
  expect([...graph.attributes.values()].map((t) => t.tolist())).toEqual([[-3, -4]]);
});

test("the verifier names the node and the rule", () => {
  const graph = graphOf((v) => v.neg().abs());
  const [, neg, abs] = graph.nodes;
  graph.nodes.splice(1, 2, abs!, neg!);
  expect(() => verify(graph)).toThrow(/reads a value that is not computed before it/);
  graph.nodes.splice(1, 2, neg!, abs!);
  verify(graph);
  abs!.outputs[0]!.type = { dtype: "float32", shape: [7] };
  expect(() => verify(graph)).toThrow(/claims another type/);
  expect(() => graph.remove(neg!)).toThrow(GraphError);
  expect(neg!.output).toBeInstanceOf(Value);
});
