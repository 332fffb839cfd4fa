/**
 * Models of the golden programs that are about operators around layers: arithmetic, scalars, activations, pools,
 * shapes. Twins of golden/make/programs_models.py: same names of parameters.
 */

import {
  adaptiveAvgPool2d,
  add,
  avgPool2d,
  cat,
  clamp,
  elu,
  flatten,
  hardsigmoid,
  hardswish,
  interpolate,
  leakyRelu,
  matmul,
  maxPool2d,
  mean,
  mul,
  permute,
  relu,
  reshape,
  sigmoid,
  sin,
  squeeze,
  stack,
  tanh,
  transpose,
  unsqueeze,
} from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import { zeros } from "../../../src/tensor/create.ts";

class SkipAdd extends nn.Module {
  conv1 = new nn.Conv2d(3, 4, 1);
  conv2 = new nn.Conv2d(3, 4, 1);
  forward(x: Tensor): Tensor {
    return add(this.conv1.forward(x), this.conv2.forward(x));
  }
}

class AddSelf extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    return add(y, y);
  }
}

class CatNet extends nn.Module {
  conv1 = new nn.Conv2d(3, 4, 1);
  conv2 = new nn.Conv2d(3, 2, 1);
  conv3 = new nn.Conv2d(6, 3, 1);
  forward(x: Tensor): Tensor {
    return this.conv3.forward(cat([this.conv1.forward(x), this.conv2.forward(x)], 1));
  }
}

class CatInput extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3, { padding: 1 });
  pool = new nn.MaxPool2d(3, { stride: 1, padding: 1 });
  forward(x: Tensor): Tensor {
    return cat([this.conv.forward(x), x, this.pool.forward(x)], 1);
  }
}

class CatTwice extends nn.Module {
  conv1 = new nn.Conv2d(3, 4, 1);
  conv2 = new nn.Conv2d(4, 4, 1);
  forward(x: Tensor): Tensor {
    const a = this.conv1.forward(x);
    const b = this.conv2.forward(a);
    return cat([cat([a, b], 1), a], 1);
  }
}

class StackNet extends nn.Module {
  fc1 = new nn.Linear(4, 4);
  fc2 = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    return stack([this.fc1.forward(x), this.fc2.forward(x)], 1);
  }
}

class ScalarOps extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  forward(x: Tensor): Tensor {
    const y = mul(add(this.conv.forward(x), 3), 0.5);
    return relu(add(y, 0.25));
  }
}

class ScalarMulRelu extends nn.Module {
  fc = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    return relu(mul(mul(this.fc.forward(x), 2), -1.5));
  }
}

class MulNet extends nn.Module {
  a = new nn.Conv2d(3, 4, 1);
  b = new nn.Conv2d(3, 4, 1);
  forward(x: Tensor): Tensor {
    const a = this.a.forward(x);
    const b = this.b.forward(x);
    return mul(relu(mul(a, b)), a);
  }
}

class MatmulNet extends nn.Module {
  q = new nn.Linear(6, 6);
  k = new nn.Linear(6, 6);
  forward(x: Tensor): Tensor {
    const q = this.q.forward(x);
    return matmul(q, transpose(this.k.forward(x), 1, 2));
  }
}

class AddParameter extends nn.Module {
  fc = new nn.Linear(5, 5);
  offset = new nn.Parameter(zeros([5]));
  forward(x: Tensor): Tensor {
    return add(this.fc.forward(x), this.offset);
  }
}

class FixedModules extends nn.Module {
  fc1 = new nn.Linear(5, 5);
  sigmoid = new nn.Sigmoid();
  fc2 = new nn.Linear(5, 5);
  tanh = new nn.Tanh();
  fc3 = new nn.Linear(5, 5);
  hardsigmoid = new nn.Hardsigmoid();
  fc4 = new nn.Linear(5, 5);
  softmax = new nn.Softmax(1);
  forward(x: Tensor): Tensor {
    const a = this.fc2.forward(this.sigmoid.forward(this.fc1.forward(x)));
    const b = this.fc3.forward(this.tanh.forward(a));
    return this.softmax.forward(this.fc4.forward(this.hardsigmoid.forward(b)));
  }
}

class FixedFunctions extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    return cat([sigmoid(y), tanh(y), hardsigmoid(y)], 1);
  }
}

class ActivationModules extends nn.Module {
  conv1 = new nn.Conv2d(3, 4, 1);
  hardswish = new nn.Hardswish();
  conv2 = new nn.Conv2d(4, 4, 1);
  elu = new nn.ELU();
  conv3 = new nn.Conv2d(4, 4, 1);
  leaky = new nn.LeakyReLU({ negativeSlope: 0.1 });
  prelu = new nn.PReLU();
  forward(x: Tensor): Tensor {
    const a = this.hardswish.forward(this.conv1.forward(x));
    const b = this.elu.forward(this.conv2.forward(a));
    return this.prelu.forward(this.leaky.forward(this.conv3.forward(b)));
  }
}

class PReluLinear extends nn.Module {
  fc = new nn.Linear(5, 4);
  prelu = new nn.PReLU({ numParameters: 4 });
  out = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.out.forward(this.prelu.forward(this.fc.forward(x)));
  }
}

class ActivationFunctions extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  forward(x: Tensor): Tensor {
    return leakyRelu(elu(hardswish(this.conv.forward(x))), { negativeSlope: 0.2 });
  }
}

class PoolsNet extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3, { padding: 1 });
  relu6 = new nn.ReLU6();
  max = new nn.MaxPool2d(2);
  avg = new nn.AvgPool2d(3, { stride: 1 });
  hardtanh = new nn.Hardtanh({ minVal: -0.5, maxVal: 0.5 });
  conv2 = new nn.Conv2d(4, 2, 1);
  forward(x: Tensor): Tensor {
    const y = this.max.forward(this.relu6.forward(this.conv.forward(x)));
    return this.conv2.forward(this.hardtanh.forward(this.avg.forward(y)));
  }
}

class PoolFunctions extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3, { padding: 1 });
  forward(x: Tensor): Tensor {
    const y = avgPool2d(maxPool2d(this.conv.forward(x), 2), 3, { stride: 1 });
    return adaptiveAvgPool2d(clamp(y, -1, 1), [1, 1]);
  }
}

class ShapesNet extends nn.Module {
  conv = new nn.Conv2d(3, 4, 1);
  fc = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    const y = reshape(permute(this.conv.forward(x), [0, 2, 3, 1]), [-1, 4]);
    return flatten(transpose(unsqueeze(this.fc.forward(y), 0), 1, 2), 1);
  }
}

class ReshapeSize extends nn.Module {
  conv = new nn.Conv2d(3, 2, 3);
  fc = new nn.Linear(32, 4);
  forward(x: Tensor): Tensor {
    const y = relu(this.conv.forward(x));
    return this.fc.forward(reshape(y, [y.shape[0]!, -1]));
  }
}

class MeanNet extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3);
  fc = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.fc.forward(mean(this.conv.forward(x), [2, 3]));
  }
}

class InterpolateNet extends nn.Module {
  conv1 = new nn.Conv2d(3, 4, 1);
  conv2 = new nn.Conv2d(4, 2, 1);
  forward(x: Tensor): Tensor {
    return this.conv2.forward(interpolate(this.conv1.forward(x), { scaleFactor: 2, mode: "nearest" }));
  }
}

class PixelShuffleNet extends nn.Module {
  conv = new nn.Conv2d(3, 8, 1);
  shuffle = new nn.PixelShuffle(2);
  out = new nn.Conv2d(2, 2, 1);
  forward(x: Tensor): Tensor {
    return this.out.forward(this.shuffle.forward(this.conv.forward(x)));
  }
}

class FloatIsland extends nn.Module {
  fc1 = new nn.Linear(5, 5);
  fc2 = new nn.Linear(5, 5);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(sin(this.fc1.forward(x)));
  }
}

class MixedOps extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3, { padding: 1 });
  fc = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    const sum = add(y, avgPool2d(y, 3, { stride: 1, padding: 1 }));
    return this.fc.forward(squeeze(squeeze(adaptiveAvgPool2d(sum, 1), 3), 2));
  }
}

export const operationModels = {
  "skip-add": () => new SkipAdd(),
  "add-self": () => new AddSelf(),
  "cat": () => new CatNet(),
  "cat-input": () => new CatInput(),
  "cat-twice": () => new CatTwice(),
  "stack": () => new StackNet(),
  "scalar-ops": () => new ScalarOps(),
  "scalar-mul-relu": () => new ScalarMulRelu(),
  "mul": () => new MulNet(),
  "matmul": () => new MatmulNet(),
  "add-parameter": () => new AddParameter(),
  "fixed-modules": () => new FixedModules(),
  "fixed-functions": () => new FixedFunctions(),
  "activation-modules": () => new ActivationModules(),
  "prelu-linear": () => new PReluLinear(),
  "activation-functions": () => new ActivationFunctions(),
  "pools": () => new PoolsNet(),
  "pool-functions": () => new PoolFunctions(),
  "shapes": () => new ShapesNet(),
  "reshape-size": () => new ReshapeSize(),
  "mean": () => new MeanNet(),
  "interpolate": () => new InterpolateNet(),
  "pixel-shuffle": () => new PixelShuffleNet(),
  "float-island": () => new FloatIsland(),
  "mixed-ops": () => new MixedOps(),
};
