/**
 * Integers of a quantized graph, operator by operator, beside those of another program.
 *
 * An integer that differs changes all that is computed from it. So each operator is given the other program's inputs,
 * and only what it makes of them itself is counted.
 */

import { Tensor, noGrad } from "fewbit";
import { lower } from "fewbit/compile";
import { GraphModule, interpret } from "fewbit/graph";
import type { Node, Value } from "fewbit/graph";

/** The graph with the results of its quantize nodes as further outputs, and their names. */
export function withIntegers({ graph: given }: GraphModule): { model: GraphModule; names: string[] } {
  const { graph } = given.cloneWithMap();
  const integers = graph.nodes
    .filter(({ target, outputs }) => target === "decomposedQuantizePerTensor" && !graph.outputs.includes(outputs[0]!))
    .map(({ output }) => output);
  graph.outputs = [...graph.outputs, ...integers];
  graph.outputTree = null;
  return { model: new GraphModule(graph), names: integers.map(({ node }) => node.inputs[0]!.name) };
}

export interface OperatorDifference {
  readonly name: string;
  readonly integers: number;
  readonly other: number;
  /** Largest difference, in steps. */
  readonly farthest: number;
}

/** The node that computes an output's integers: what an `intRepr` reads, or the output's own. */
function makerOf(value: Value): Node {
  return value.node.target === "intRepr" ? value.node.inputs[0]!.node : value.node;
}

function difference(name: string, own: ArrayLike<number>, other: ArrayLike<number>): OperatorDifference {
  let [differing, farthest] = [0, 0];
  for (let i = 0; i < own.length; i++) {
    const far = Math.abs(own[i]! - other[i]!);
    if (far > 0) differing++;
    farthest = Math.max(farthest, far);
  }
  return { name, integers: own.length, other: differing, farthest };
}

/**
 * Differences of each operator on `x`, each given the other program's integers as inputs.
 * @param model of `withIntegers`; lowered to integer operators, or as it is (float between quantize and dequantize).
 * @param other the other program's outputs, in the order of the graph's.
 */
export function compareIntegers(
  model: GraphModule,
  names: readonly string[],
  x: Tensor,
  other: readonly ArrayLike<number>[],
  lowered: boolean,
): OperatorDifference[] {
  const run = (lowered ? lower(model) : model).graph;
  const places = new Map(run.outputs.slice(1).map((output, i) => [makerOf(output as Value), i]));
  const found: OperatorDifference[] = [];
  noGrad(() =>
    interpret(run, [x], {
      onNode(node, [y]) {
        const place = places.get(node);
        if (place === undefined || !y) return undefined;
        const theirs = other[place + 1]!;
        found.push(difference(names[place]!, y.data, theirs));
        const data = y.data.slice();
        data.set(Array.from(theirs));
        return [new Tensor(y.dtype, y.shape, data, y.qparams)];
      },
    }),
  );
  return found;
}
