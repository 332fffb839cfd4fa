/**
 * Models of the golden programs that are about structure: whole small networks, skip connections, shared modules,
 * several inputs and outputs, nesting. Twins of golden/make/programs_models.py: same names of parameters.
 */

import { add, cat, flatten, interpolate, matmul, mul, relu, softmax, sum, transpose } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";

class SmallCnn extends nn.Module {
  conv1 = new nn.Conv2d(3, 8, 3, { padding: 1, bias: false });
  bn1 = new nn.BatchNorm2d(8);
  relu1 = new nn.ReLU();
  pool = new nn.MaxPool2d(2);
  conv2 = new nn.Conv2d(8, 12, 3, { padding: 1 });
  bn2 = new nn.BatchNorm2d(12);
  relu2 = new nn.ReLU();
  avg = new nn.AdaptiveAvgPool2d(1);
  fc = new nn.Linear(12, 5);
  forward(x: Tensor): Tensor {
    const a = this.pool.forward(this.relu1.forward(this.bn1.forward(this.conv1.forward(x))));
    const b = this.avg.forward(this.relu2.forward(this.bn2.forward(this.conv2.forward(a))));
    return this.fc.forward(flatten(b, 1));
  }
}

class ResBlock extends nn.Module {
  conv1 = new nn.Conv2d(4, 4, 3, { padding: 1, bias: false });
  bn1 = new nn.BatchNorm2d(4);
  relu = new nn.ReLU();
  conv2 = new nn.Conv2d(4, 4, 3, { padding: 1, bias: false });
  bn2 = new nn.BatchNorm2d(4);
  forward(x: Tensor): Tensor {
    const y = this.relu.forward(this.bn1.forward(this.conv1.forward(x)));
    return relu(add(this.bn2.forward(this.conv2.forward(y)), x));
  }
}

class SharedLinear extends nn.Module {
  fc = new nn.Linear(5, 5);
  relu = new nn.ReLU();
  forward(x: Tensor): Tensor {
    return this.fc.forward(this.relu.forward(this.fc.forward(x)));
  }
}

class SharedConvBranches extends nn.Module<[Tensor, Tensor]> {
  conv = new nn.Conv2d(3, 3, 3, { padding: 1 });
  forward(x: Tensor, y: Tensor): Tensor {
    return add(this.conv.forward(x), this.conv.forward(y));
  }
}

class Depthwise extends nn.Module {
  expand = new nn.Conv2d(4, 8, 1, { bias: false });
  bn1 = new nn.BatchNorm2d(8);
  act1 = new nn.ReLU6();
  dw = new nn.Conv2d(8, 8, 3, { padding: 1, groups: 8, bias: false });
  bn2 = new nn.BatchNorm2d(8);
  act2 = new nn.ReLU6();
  project = new nn.Conv2d(8, 4, 1, { bias: false });
  bn3 = new nn.BatchNorm2d(4);
  forward(x: Tensor): Tensor {
    const a = this.act1.forward(this.bn1.forward(this.expand.forward(x)));
    const b = this.act2.forward(this.bn2.forward(this.dw.forward(a)));
    return add(x, this.bn3.forward(this.project.forward(b)));
  }
}

class TwoInTwoOut extends nn.Module<[Tensor, Tensor], Tensor[]> {
  fc1 = new nn.Linear(5, 4);
  fc2 = new nn.Linear(3, 4);
  forward(x: Tensor, y: Tensor): Tensor[] {
    const a = this.fc1.forward(x);
    const b = this.fc2.forward(y);
    return [add(a, b), relu(b)];
  }
}

class DictOut extends nn.Module<[Tensor], Record<string, Tensor>> {
  conv = new nn.Conv2d(3, 4, 1);
  head = new nn.Conv2d(4, 2, 1);
  forward(x: Tensor): Record<string, Tensor> {
    const features = relu(this.conv.forward(x));
    return { features, scores: this.head.forward(features) };
  }
}

export class Branch extends nn.Module {
  fc1: nn.Linear;
  fc2: nn.Linear;
  constructor(n: number) {
    super();
    this.fc1 = new nn.Linear(n, n);
    this.fc2 = new nn.Linear(n, n);
  }
  forward(x: Tensor): Tensor {
    return this.fc2.forward(relu(this.fc1.forward(x)));
  }
}

class WideMlp extends nn.Module {
  fc1 = new nn.Linear(64, 32);
  relu = new nn.ReLU();
  fc2 = new nn.Linear(32, 8);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.relu.forward(this.fc1.forward(x)));
  }
}

class Nested extends nn.Module {
  left = new Branch(4);
  right = new Branch(4);
  conv = new nn.Conv1d(2, 2, 1);
  out = new nn.Linear(4, 2);
  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    return this.out.forward(add(this.left.forward(y), this.right.forward(y)));
  }
}

/** Reads a value, so it can only be captured as a leaf. */
export class Gate extends nn.Module {
  fc = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    const y = this.fc.forward(x);
    return sum(y).data[0]! > 1e6 ? mul(y, 2) : y;
  }
}

class NonTraceableNet extends nn.Module {
  fc1 = new nn.Linear(4, 4);
  gate = new Gate();
  fc2 = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.gate.forward(this.fc1.forward(x)));
  }
}

/** A custom module: prepare and convert replace it by forms of its own. */
export class Scale extends nn.Module {
  fc = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    return this.fc.forward(x);
  }
}

class CustomNet extends nn.Module {
  fc1 = new nn.Linear(4, 4);
  custom = new Scale();
  fc2 = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.custom.forward(this.fc1.forward(x)));
  }
}

class StandaloneNet extends nn.Module {
  fc1 = new nn.Linear(4, 4);
  child = new Branch(4);
  fc2 = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.child.forward(this.fc1.forward(x)));
  }
}

class SqueezeExcite extends nn.Module {
  conv = new nn.Conv2d(3, 6, 1);
  pool = new nn.AdaptiveAvgPool2d(1);
  reduce = new nn.Conv2d(6, 3, 1);
  expand = new nn.Conv2d(3, 6, 1);
  gate = new nn.Hardsigmoid();
  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    const s = this.expand.forward(relu(this.reduce.forward(this.pool.forward(y))));
    return mul(this.gate.forward(s), y);
  }
}

class Attention extends nn.Module {
  q = new nn.Linear(8, 8);
  k = new nn.Linear(8, 8);
  v = new nn.Linear(8, 8);
  out = new nn.Linear(8, 8);
  norm = new nn.LayerNorm(8);
  forward(x: Tensor): Tensor {
    const q = this.q.forward(x);
    const k = this.k.forward(x);
    const v = this.v.forward(x);
    const weights = softmax(mul(matmul(q, transpose(k, 1, 2)), 0.35), -1);
    return this.norm.forward(add(x, this.out.forward(matmul(weights, v))));
  }
}

class UnetMini extends nn.Module {
  down = new nn.Conv2d(3, 4, 3, { padding: 1 });
  pool = new nn.MaxPool2d(2);
  mid = new nn.Conv2d(4, 6, 3, { padding: 1 });
  up = new nn.Conv2d(10, 2, 3, { padding: 1 });
  forward(x: Tensor): Tensor {
    const d = relu(this.down.forward(x));
    const m = relu(this.mid.forward(this.pool.forward(d)));
    return this.up.forward(cat([d, interpolate(m, { scaleFactor: 2, mode: "nearest" })], 1));
  }
}

class BranchReuse extends nn.Module<[Tensor], Tensor[]> {
  stem = new nn.Conv2d(3, 4, 1);
  a = new nn.Conv2d(4, 4, 1);
  b = new nn.Conv2d(4, 4, 3, { padding: 1 });
  pool = new nn.MaxPool2d(2);
  forward(x: Tensor): Tensor[] {
    const y = relu(this.stem.forward(x));
    return [this.pool.forward(this.a.forward(y)), this.b.forward(y), y];
  }
}

/** In PyTorch relu and += write in place; tensors here are not written to. */
class InplaceRelu extends nn.Module {
  conv1 = new nn.Conv2d(3, 4, 1);
  relu = new nn.ReLU();
  conv2 = new nn.Conv2d(4, 4, 1);
  forward(x: Tensor): Tensor {
    const y = this.relu.forward(this.conv1.forward(x));
    return relu(add(this.conv2.forward(y), 1));
  }
}

class Sequential3 extends nn.Module {
  net = new nn.Sequential(new nn.Linear(6, 6), new nn.ReLU(), new nn.Linear(6, 6), new nn.ReLU(), new nn.Linear(6, 3));
  forward(x: Tensor): Tensor {
    return this.net.forward(x);
  }
}

export const structureModels = {
  "small-cnn": () => new SmallCnn(),
  "res-block": () => new ResBlock(),
  "shared-linear": () => new SharedLinear(),
  "shared-conv-branches": () => new SharedConvBranches(),
  "depthwise": () => new Depthwise(),
  "two-in-two-out": () => new TwoInTwoOut(),
  "dict-out": () => new DictOut(),
  "wide-mlp": () => new WideMlp(),
  "nested": () => new Nested(),
  "non-traceable": () => new NonTraceableNet(),
  "custom-module": () => new CustomNet(),
  "standalone": () => new StandaloneNet(),
  "squeeze-excite": () => new SqueezeExcite(),
  "attention": () => new Attention(),
  "unet-mini": () => new UnetMini(),
  "branch-reuse": () => new BranchReuse(),
  "inplace-relu": () => new InplaceRelu(),
  "sequential": () => new Sequential3(),
};
