/**
 * The types a module returns, for modules a graph calls as a whole: a copy of the module is run once on zeros.
 */

import { cloneModule } from "../nn/clone.ts";
import type { AnyModule } from "../nn/module.ts";
import { emptyLike } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { flattenTree, unflattenTree } from "./tree.ts";
import type { TreeSpec } from "./tree.ts";

/** Shape of the result and the type of each tensor in it. The module's own state is not touched. */
export function findLeafTypes(module: AnyModule, args: readonly unknown[]): { spec: TreeSpec; types: TensorType[] } {
  const { leaves, spec } = flattenTree(args);
  const zeros = unflattenTree(spec, leaves.map(emptyLike)) as unknown[];
  const probe = cloneModule(module) as unknown as { forward(...args: unknown[]): unknown };
  const result = flattenTree(probe.forward(...zeros));
  const types = result.leaves.map(({ dtype, shape, qparams }) =>
    qparams ? { dtype, shape, qparams } : { dtype, shape },
  );
  return { spec: result.spec, types };
}
