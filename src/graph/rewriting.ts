/**
 * Rewriting graphs, for users: patterns, rules and passes, and the passes there are.
 *
 *     const x = value();
 *     const twice = rule("double-relu", op("relu", op("relu", x)), (match, build) => build.call("relu", [match.arg(x)]));
 *     runPasses(graph, [rewritePass("double-relu", [twice]), deadCode]);
 */

export {
  any,
  constant,
  literal,
  matchAt,
  Match,
  oneOf,
  op,
  OpPattern,
  optionalConstant,
  Pattern,
  value,
} from "./match.ts";
export { Builder, rewritePass, rule, runPasses } from "./rewrite.ts";
export type { Callee, Pass, Rewrite, Rule } from "./rewrite.ts";
export { commonSubexpressions, constantFolding, deadCode } from "./passes/cleanup.ts";
export { foldBatchNorm } from "./passes/fold-batch-norm.ts";
