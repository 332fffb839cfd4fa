/**
 * Parts that lowering patterns share: the dequantize before, the quantize behind, and the check that a node belongs to
 * a unit that is quantized.
 */

import type { Node, Value } from "../../graph/graph.ts";
import { constant, op, value } from "../../graph/match.ts";
import type { Match, OpPattern, Pattern } from "../../graph/match.ts";
import type { OutputQParams } from "../../ops/quantized/common.ts";
import { unitRecordOf } from "./units.ts";

/** An integer tensor behind its dequantize. */
export interface Dequantized {
  readonly pattern: OpPattern;
  readonly integers: Pattern;
}

export function dequantized(): Dequantized {
  const integers = value();
  return { pattern: op("dequantize", integers), integers };
}

/** A stored weight behind its dequantize. */
export function dequantizedWeight(): Dequantized {
  const integers = constant();
  return { pattern: op("dequantize", integers), integers };
}

export function isQuantizedUnit(node: Node): boolean {
  const record = unitRecordOf(node);
  return record === null || (record.isObserved && record.qconfig !== null);
}

/** A call inside a pattern: of a quantized unit, read by nothing else. */
export function inner(targets: string | readonly string[], ...args: readonly Pattern[]): OpPattern {
  return op(targets, ...args)
    .usedOnce()
    .where(isQuantizedUnit);
}

/** The quantize at the end of a pattern. */
export function quantized(of: Pattern): OpPattern {
  return op("quantizePerTensor", of);
}

/** What the quantize at the end asks for. */
export function outputOf({ root }: Match): OutputQParams {
  const { scale, zeroPoint } = root.attrs as OutputQParams;
  return { scale, zeroPoint };
}

/** Gives a new node the place in the model that the node it replaces had. */
export function placedAs(result: Value, node: Node): Value {
  result.node.source = node.source;
  return result;
}
