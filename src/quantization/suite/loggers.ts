/**
 * Modules that keep what passes them. Source: torch/ao/ns/_numeric_suite.py.
 *
 * Statistics keep PyTorch's snake_case names, since they are the keys of the dictionaries that users compare.
 */

import { add, div } from "../../ops/arithmetic.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** A base for loggers of all kinds: what they gathered is in `stats`. */
export abstract class Logger<In extends readonly unknown[] = never[]> extends Module<In, unknown> {
  readonly stats: Record<string, unknown> = {};
  readonly dtype = "quint8";

  override get isGraphLeaf(): boolean {
    return true;
  }
}

/** The class of a logger without arguments. */
export type LoggerClass<L extends AnyModule = AnyModule> = new () => L;

/** Keeps every tensor that passes, and passes it on. */
export class OutputLogger extends Logger<[unknown]> {
  override readonly stats: { tensor_val: unknown[] } = { tensor_val: [] };

  forward(x: unknown): unknown {
    this.stats.tensor_val.push(x);
    return x;
  }
}

/** The first tensor of an output: layers such as LSTM give several. */
export function firstTensor(output: unknown): Tensor {
  let at = output;
  while (Array.isArray(at)) at = (at as readonly unknown[])[0];
  return at as Tensor;
}

/** Keeps pairs: what a quantized module gave, and what its float shadow did. */
export class ShadowLogger extends Logger<[unknown, unknown]> {
  override readonly stats: { float: Tensor[]; quantized: Tensor[] } = { float: [], quantized: [] };

  /** Of several outputs the first is kept. */
  forward(quantized: unknown, float: unknown): void {
    this.stats.quantized.push(firstTensor(quantized).detach());
    this.stats.float.push(firstTensor(float).detach());
  }
}

/** Keeps the means of both over all batches. */
export class MeanShadowLogger extends Logger<[unknown, unknown]> {
  override readonly stats: { float: Tensor | null; quantized: Tensor | null } = { float: null, quantized: null };
  count = 0;
  private sums: { readonly float: Tensor; readonly quantized: Tensor } | null = null;

  forward(quantized: unknown, float: unknown): void {
    const [q, f] = [firstTensor(quantized).detach(), firstTensor(float).detach()];
    const given = { float: f, quantized: q.isQuantized ? dequantize(q) : q };
    const { sums } = this;
    this.count += 1;
    this.sums = sums ? { float: add(sums.float, given.float), quantized: add(sums.quantized, given.quantized) } : given;
    this.stats.float = div(this.sums.float, this.count);
    this.stats.quantized = div(this.sums.quantized, this.count);
  }

  clear(): void {
    this.stats.float = null;
    this.stats.quantized = null;
    this.count = 0;
    this.sums = null;
  }
}

/** What a model's loggers gathered: path of the module a logger belongs to, and ".stats" → statistics. */
export type LoggerDict = Record<string, Record<string, unknown>>;

function collect(module: AnyModule, path: string, out: LoggerDict): void {
  const children = module.namedChildren();
  const logger = children.find(([, child]) => child instanceof Logger)?.[1];
  if (logger) out[path ? `${path}.stats` : "stats"] = (logger as Logger).stats;
  for (const [name, child] of children) collect(child, path ? `${path}.${name}` : name, out);
}

/** The statistics of all loggers in a model. `prefix` is put before the paths. */
export function getLoggerDict(model: AnyModule, prefix = ""): LoggerDict {
  const out: LoggerDict = {};
  collect(model, prefix, out);
  return out;
}
