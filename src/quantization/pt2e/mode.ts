/**
 * Train and eval mode of captured models under PyTorch's names. Captured graphs switch like any module, dropout and
 * batch norms with all their other settings kept, so these only say it in PyTorch's words.
 * Source: torchao/quantization/pt2e/export_utils.py.
 */

import type { GraphModule } from "../../graph/graph-module.ts";

/** Moves dropout and batch norms of a captured model to eval mode, in place. */
export function moveExportedModelToEval(model: GraphModule): GraphModule {
  return model.eval();
}

/** Moves dropout and batch norms of a captured model to train mode, in place. */
export function moveExportedModelToTrain(model: GraphModule): GraphModule {
  return model.train();
}

/** In PyTorch lets `train()` and `eval()` of an exported model do the above; here they always do. */
export function allowExportedModelTrainEval(model: GraphModule): GraphModule {
  return model;
}
