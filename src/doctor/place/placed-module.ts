/**
 * A model whose forward is a captured graph that calls the model's layers. To prepare, convert, capture and compile it
 * is a model like any other: its children are the layers under their own paths.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import { GraphError } from "../../errors.ts";
import { flattenTree } from "../../graph/tree.ts";
import type { Graph } from "../../graph/graph.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** The program is no module of the tree: neither hooks nor captures need know of its calls. */
class Program extends GraphModule {
  call(inputs: readonly unknown[]): unknown {
    return super.forward(...inputs);
  }
}

export class PlacedModule extends Module<unknown[], unknown> {
  private readonly program: Program;

  constructor(graph: Graph) {
    super();
    this.program = new Program(graph, false);
    this.training = false;
  }

  /** The graph that forward runs: layers as module nodes. */
  get graph(): Graph {
    return this.program.graph;
  }

  /** @throws as the model's own forward; ShapeError for inputs of other shapes than the captured (batch size aside). */
  override forward(...inputs: unknown[]): unknown {
    return this.program.call(inputs);
  }

  /** `forward` for models that return one tensor. @throws GraphError when it returns something else. */
  run(...inputs: unknown[]): Tensor {
    const { leaves } = flattenTree([this.forward(...inputs)]);
    if (leaves.length === 1) return leaves[0]!;
    throw new GraphError(this.constructor.name, { outputs: leaves.length }, "does not return one tensor");
  }

  override ownTensors(): [string, Tensor][] {
    return this.program.ownTensors();
  }

  override namedChildren(): [string, AnyModule][] {
    return this.program.namedChildren();
  }

  override setChild(name: string, module: AnyModule): void {
    this.program.setChild(name, module);
  }

  override getSubmodule(path: string): AnyModule {
    // Names of children hold dots themselves.
    const found = this.namedModules().find(([known]) => known === path);
    return found ? found[1] : super.getSubmodule(path);
  }

  override train(mode = true): this {
    this.training = mode;
    this.program.train(mode);
    return this;
  }
}
