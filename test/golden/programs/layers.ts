/**
 * Models of the golden programs that are about layers and their fusions: linear, convolutions, batch norm,
 * functional forms, normalization, embeddings. Twins of golden/make/programs_models.py: same names of parameters.
 */

import { conv2d, groupNorm, linear, relu } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import { zeros } from "../../../src/tensor/create.ts";

const parameter = (...shape: number[]): nn.Parameter => new nn.Parameter(zeros(shape));

class Linear1 extends nn.Module {
  fc = new nn.Linear(6, 4);
  forward(x: Tensor): Tensor {
    return this.fc.forward(x);
  }
}

class Mlp extends nn.Module {
  fc1 = new nn.Linear(8, 16);
  relu = new nn.ReLU();
  fc2 = new nn.Linear(16, 4);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.relu.forward(this.fc1.forward(x)));
  }
}

class LinearNoBias extends nn.Module {
  fc1 = new nn.Linear(8, 8, { bias: false });
  fc2 = new nn.Linear(8, 3, { bias: false });
  forward(x: Tensor): Tensor {
    return this.fc2.forward(relu(this.fc1.forward(x)));
  }
}

class Conv1 extends nn.Module {
  conv = new nn.Conv2d(3, 5, 3, { padding: 1 });
  forward(x: Tensor): Tensor {
    return this.conv.forward(x);
  }
}

class ConvRelu extends nn.Module {
  conv = new nn.Conv2d(3, 6, 3, { stride: 2, padding: 1 });
  relu = new nn.ReLU();
  forward(x: Tensor): Tensor {
    return this.relu.forward(this.conv.forward(x));
  }
}

class ConvBn extends nn.Module {
  conv = new nn.Conv2d(3, 6, 3, { padding: 1, bias: false });
  bn = new nn.BatchNorm2d(6);
  forward(x: Tensor): Tensor {
    return this.bn.forward(this.conv.forward(x));
  }
}

class ConvBnRelu extends nn.Module {
  conv = new nn.Conv2d(3, 6, 3, { padding: 1 });
  bn = new nn.BatchNorm2d(6);
  relu = new nn.ReLU();
  forward(x: Tensor): Tensor {
    return this.relu.forward(this.bn.forward(this.conv.forward(x)));
  }
}

class FunctionalLinear extends nn.Module {
  weight1 = parameter(8, 6);
  bias1 = parameter(8);
  weight2 = parameter(3, 8);
  forward(x: Tensor): Tensor {
    return linear(relu(linear(x, this.weight1, this.bias1)), this.weight2);
  }
}

class FunctionalConv extends nn.Module {
  weight1 = parameter(6, 3, 3, 3);
  bias1 = parameter(6);
  weight2 = parameter(4, 6, 1, 1);
  forward(x: Tensor): Tensor {
    const y = relu(conv2d(x, this.weight1, this.bias1, { padding: 1 }));
    return conv2d(y, this.weight2, null, { stride: 2 });
  }
}

class ConvTransposeNet extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3);
  up = new nn.ConvTranspose2d(4, 3, 2, { stride: 2 });
  forward(x: Tensor): Tensor {
    return this.up.forward(relu(this.conv.forward(x)));
  }
}

class ConvTransposeBn extends nn.Module {
  up = new nn.ConvTranspose2d(3, 4, 2, { stride: 2 });
  bn = new nn.BatchNorm2d(4);
  forward(x: Tensor): Tensor {
    return this.bn.forward(this.up.forward(x));
  }
}

class Conv1dNet extends nn.Module {
  conv1 = new nn.Conv1d(3, 6, 3, { padding: 1 });
  bn = new nn.BatchNorm1d(6);
  conv2 = new nn.Conv1d(6, 2, 3, { stride: 2 });
  forward(x: Tensor): Tensor {
    return this.conv2.forward(relu(this.bn.forward(this.conv1.forward(x))));
  }
}

class Conv3dNet extends nn.Module {
  conv = new nn.Conv3d(2, 3, 3, { padding: 1 });
  relu = new nn.ReLU();
  forward(x: Tensor): Tensor {
    return this.relu.forward(this.conv.forward(x));
  }
}

class LinearBn extends nn.Module {
  fc = new nn.Linear(6, 5);
  bn = new nn.BatchNorm1d(5);
  forward(x: Tensor): Tensor {
    return this.bn.forward(this.fc.forward(x));
  }
}

class BnAfterPool extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  pool = new nn.MaxPool2d(2);
  bn1 = new nn.BatchNorm2d(4);
  relu = new nn.ReLU();
  bn2 = new nn.BatchNorm2d(4);
  forward(x: Tensor): Tensor {
    return this.bn2.forward(this.relu.forward(this.bn1.forward(this.pool.forward(this.conv.forward(x)))));
  }
}

class LayerNormNet extends nn.Module {
  fc = new nn.Linear(6, 8);
  norm = new nn.LayerNorm(8);
  out = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    return this.out.forward(this.norm.forward(this.fc.forward(x)));
  }
}

class NormsNet extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  inorm = new nn.InstanceNorm2d(4, { affine: true });
  gweight = parameter(4);
  gbias = parameter(4);
  forward(x: Tensor): Tensor {
    return groupNorm(this.inorm.forward(this.conv.forward(x)), 2, { weight: this.gweight, bias: this.gbias });
  }
}

class EmbeddingNet extends nn.Module {
  emb = new nn.Embedding(12, 8);
  fc = new nn.Linear(8, 4);
  forward(ids: Tensor): Tensor {
    return this.fc.forward(this.emb.forward(ids));
  }
}

class EmbeddingBagNet extends nn.Module<[Tensor, Tensor]> {
  bag = new nn.EmbeddingBag(12, 8, { mode: "sum", includeLastOffset: true });
  fc = new nn.Linear(8, 4);
  forward(ids: Tensor, offsets: Tensor): Tensor {
    return this.fc.forward(this.bag.forward(ids, offsets));
  }
}

class DropoutNet extends nn.Module {
  fc1 = new nn.Linear(6, 8);
  drop = new nn.Dropout(0.3);
  fc2 = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.drop.forward(relu(this.fc1.forward(x))));
  }
}

export const layerModels = {
  "linear": () => new Linear1(),
  "mlp": () => new Mlp(),
  "linear-no-bias": () => new LinearNoBias(),
  "conv": () => new Conv1(),
  "conv-relu": () => new ConvRelu(),
  "conv-bn": () => new ConvBn(),
  "conv-bn-relu": () => new ConvBnRelu(),
  "functional-linear": () => new FunctionalLinear(),
  "functional-conv": () => new FunctionalConv(),
  "conv-transpose": () => new ConvTransposeNet(),
  "conv-transpose-bn": () => new ConvTransposeBn(),
  "conv1d": () => new Conv1dNet(),
  "conv3d": () => new Conv3dNet(),
  "linear-bn": () => new LinearBn(),
  "bn-after-pool": () => new BnAfterPool(),
  "layer-norm": () => new LayerNormNet(),
  "norms": () => new NormsNet(),
  "embedding": () => new EmbeddingNet(),
  "embedding-bag": () => new EmbeddingBagNet(),
  "dropout": () => new DropoutNet(),
};
