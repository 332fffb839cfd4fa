/**
 * A model whose forward is a captured graph that calls the model's layers. To prepare, convert, capture and compile it
 * is a model like any other: its children are the layers under their own paths.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph } from "../../graph/graph.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export class PlacedModule extends Module<unknown[], unknown> {
  private readonly program: GraphModule;

  constructor(graph: Graph) {
    super();
    this.program = new GraphModule(graph, false);
    this.training = false;
  }

  /** The graph that forward runs: layers as module nodes. */
  get graph(): Graph {
    return this.program.graph;
  }

  /** @throws as the model's own forward; ShapeError for inputs of other shapes than the captured (batch size aside). */
  override forward(...inputs: unknown[]): unknown {
    return this.program.forward(...inputs);
  }

  /** `forward` for models that return one tensor. @throws GraphError when it returns something else. */
  run(...inputs: unknown[]): Tensor {
    return this.program.run(...inputs);
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
    return this.graph.modules.get(path) ?? super.getSubmodule(path);
  }

  override train(mode = true): this {
    this.training = mode;
    this.program.train(mode);
    return this;
  }
}
