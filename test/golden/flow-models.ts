/**
 * The models of the golden flows: twins of golden/make/flow_models.py, with the same attribute names, because those
 * are the state-dict names.
 */

import * as nn from "../../src/nn/index.ts";
import { FloatFunctional } from "../../src/nn/float-functional.ts";
import { flatten, select, transpose } from "../../src/ops/index.ts";
import { DeQuantStub, QuantStub } from "../../src/quantization/stubs.ts";
import { zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Fields } from "./load.ts";

/** Input [n, 3, 8, 8], output [n, 5]. */
class SkipNet extends nn.Module {
  quant: nn.Module = new QuantStub();
  conv1: nn.Module = new nn.Conv2d(3, 8, 3, { padding: 1, bias: false });
  bn1: nn.Module = new nn.BatchNorm2d(8);
  relu1: nn.Module = new nn.ReLU();
  conv2: nn.Module = new nn.Conv2d(8, 8, 3, { padding: 1 });
  bn2: nn.Module = new nn.BatchNorm2d(8);
  skip = new FloatFunctional();
  relu2: nn.Module = new nn.ReLU();
  pool: nn.Module = new nn.MaxPool2d(2);
  conv3: nn.Module = new nn.Conv2d(8, 12, 3, { stride: 2, padding: 1, groups: 4 });
  relu3: nn.Module = new nn.ReLU();
  avg: nn.Module = new nn.AdaptiveAvgPool2d(1);
  fc: nn.Module = new nn.Linear(12, 5);
  dequant: nn.Module = new DeQuantStub();

  protected body(x: Tensor): Tensor {
    const a = this.relu1.forward(this.bn1.forward(this.conv1.forward(x)));
    const b = this.bn2.forward(this.conv2.forward(a));
    return this.pool.forward(this.relu2.forward(this.skip.add(a, b)));
  }

  protected head(x: Tensor): Tensor {
    const y = this.avg.forward(this.relu3.forward(this.conv3.forward(x)));
    return this.dequant.forward(this.fc.forward(flatten(y, 1)));
  }

  forward(x: Tensor): Tensor {
    return this.head(this.body(this.quant.forward(x)));
  }
}

/** SkipNet with the stub moved before conv3: the part before it stays float. */
class SkipTail extends SkipNet {
  override forward(x: Tensor): Tensor {
    return this.head(this.quant.forward(this.body(x)));
  }
}

/** Input [n, 4, 6, 6], output [n, 3]. */
class MobileBlock extends nn.Module {
  quant: nn.Module = new QuantStub();
  expand = new nn.Sequential(new nn.Conv2d(4, 16, 1, { bias: false }), new nn.BatchNorm2d(16), new nn.Hardswish());
  depthwise = new nn.Sequential(
    new nn.Conv2d(16, 16, 3, { padding: 1, groups: 16, bias: false }),
    new nn.BatchNorm2d(16),
    new nn.ReLU(),
  );
  squeeze = new nn.Sequential(
    new nn.AdaptiveAvgPool2d(1),
    new nn.Conv2d(16, 4, 1),
    new nn.ReLU(),
    new nn.Conv2d(4, 16, 1),
    new nn.Hardsigmoid(),
  );
  scale = new FloatFunctional();
  project = new nn.Sequential(new nn.Conv2d(16, 4, 1, { bias: false }), new nn.BatchNorm2d(4));
  residual = new FloatFunctional();
  reflect: nn.Module = new nn.Conv2d(4, 5, 3, { padding: 1, paddingMode: "reflect" });
  tail = new nn.Sequential(
    new nn.ReLU6(),
    new nn.Upsample({ scaleFactor: 2, mode: "nearest" }),
    new nn.MaxPool2d(3, { stride: 2 }),
    new nn.Flatten(),
    new nn.Linear(125, 3),
  );
  dequant: nn.Module = new DeQuantStub();

  forward(input: Tensor): Tensor {
    const x = this.quant.forward(input);
    const y = this.depthwise.forward(this.expand.forward(x));
    const scaled = this.scale.mul(y, this.squeeze.forward(y));
    const sum = this.residual.add(this.project.forward(scaled), x);
    return this.dequant.forward(this.tail.forward(this.reflect.forward(sum)));
  }
}

/** Input [n, 6], output [n, 4]. */
class Mlp extends nn.Module {
  quant: nn.Module = new QuantStub();
  fc1: nn.Module = new nn.Linear(6, 16);
  relu1: nn.Module = new nn.ReLU();
  fc2: nn.Module = new nn.Linear(16, 11);
  relu2: nn.Module = new nn.ReLU();
  fc3: nn.Module = new nn.Linear(11, 4, { bias: false });
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.relu1.forward(this.fc1.forward(this.quant.forward(x)));
    return this.dequant.forward(this.fc3.forward(this.relu2.forward(this.fc2.forward(a))));
  }
}

/** Input [n, 6], output [n, 4]. */
class BnMlp extends nn.Module {
  quant: nn.Module = new QuantStub();
  fc1: nn.Module = new nn.Linear(6, 16);
  bn1: nn.Module = new nn.BatchNorm1d(16);
  relu1: nn.Module = new nn.ReLU();
  fc2: nn.Module = new nn.Linear(16, 4);
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.relu1.forward(this.bn1.forward(this.fc1.forward(this.quant.forward(x))));
    return this.dequant.forward(this.fc2.forward(a));
  }
}

/** Input [n, 2, 16], output [n, 3]. */
class Conv1dNet extends nn.Module {
  quant: nn.Module = new QuantStub();
  conv1: nn.Module = new nn.Conv1d(2, 6, 3, { padding: 1 });
  bn1: nn.Module = new nn.BatchNorm1d(6);
  relu1: nn.Module = new nn.ReLU();
  conv2: nn.Module = new nn.Conv1d(6, 4, 5, { stride: 2, dilation: 2, padding: 2 });
  relu2: nn.Module = new nn.ReLU();
  conv3: nn.Module = new nn.Conv1d(4, 4, 3, { groups: 2 });
  fc: nn.Module = new nn.Linear(16, 3);
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.relu1.forward(this.bn1.forward(this.conv1.forward(this.quant.forward(x))));
    const b = this.conv3.forward(this.relu2.forward(this.conv2.forward(a)));
    return this.dequant.forward(this.fc.forward(flatten(b, 1)));
  }
}

/** Input [n, 2, 4, 5, 6], output [n, 3]. */
class Conv3dNet extends nn.Module {
  quant: nn.Module = new QuantStub();
  conv1: nn.Module = new nn.Conv3d(2, 4, 3, { padding: 1 });
  bn1: nn.Module = new nn.BatchNorm3d(4);
  relu1: nn.Module = new nn.ReLU();
  conv2: nn.Module = new nn.Conv3d(4, 3, 2, { stride: 2 });
  avg: nn.Module = new nn.AdaptiveAvgPool3d(1);
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.relu1.forward(this.bn1.forward(this.conv1.forward(this.quant.forward(x))));
    return this.dequant.forward(flatten(this.avg.forward(this.conv2.forward(a)), 1));
  }
}

/** Input [n, 4, 5, 5], output [n, 2, 11, 11]. */
class UpNet extends nn.Module {
  quant: nn.Module = new QuantStub();
  up1: nn.Module = new nn.ConvTranspose2d(4, 6, 3, { stride: 2, padding: 1, outputPadding: 1 });
  bn1: nn.Module = new nn.BatchNorm2d(6);
  relu1: nn.Module = new nn.ReLU();
  up2: nn.Module = new nn.ConvTranspose2d(6, 2, 2, { groups: 2 });
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.relu1.forward(this.bn1.forward(this.up1.forward(this.quant.forward(x))));
    return this.dequant.forward(this.up2.forward(a));
  }
}

/** Input [n, 4, 6], output [n, 8, 4]. */
class Functionals extends nn.Module {
  quant: nn.Module = new QuantStub();
  fc: nn.Module = new nn.Linear(6, 6);
  plus = new FloatFunctional();
  plusrelu = new FloatFunctional();
  times = new FloatFunctional();
  join = new FloatFunctional();
  product = new FloatFunctional();
  shift = new FloatFunctional();
  stretch = new FloatFunctional();
  dequant: nn.Module = new DeQuantStub();

  forward(input: Tensor): Tensor {
    const x = this.quant.forward(input);
    const y = this.fc.forward(x);
    const a = this.plus.add(x, y);
    const b = this.times.mul(a, y);
    const c = this.shift.addScalar(this.plusrelu.addRelu(a, b), 0.5);
    const d = this.join.cat([this.stretch.mulScalar(b, -1.5), c], 1);
    return this.dequant.forward(this.product.matmul(d, transpose(a, 1, 2)));
  }
}

/** Input [n, 4, 6, 6], output [n, 4, 3, 3]. */
class Activations extends nn.Module {
  quant: nn.Module = new QuantStub();
  conv: nn.Module = new nn.Conv2d(4, 4, 3, { padding: 1 });
  hardswish: nn.Module = new nn.Hardswish();
  bn1: nn.Module = new nn.BatchNorm2d(4);
  leaky: nn.Module = new nn.LeakyReLU({ negativeSlope: 0.2 });
  gn: nn.Module = new nn.GroupNorm(2, 4);
  elu: nn.Module = new nn.ELU({ alpha: 0.7 });
  instance: nn.Module = new nn.InstanceNorm2d(4, { affine: true });
  prelu: nn.Module = new nn.PReLU({ numParameters: 4 });
  ln: nn.Module = new nn.LayerNorm([6, 6]);
  relu6: nn.Module = new nn.ReLU6();
  bn2: nn.Module = new nn.BatchNorm2d(4);
  relu2: nn.Module = new nn.ReLU();
  dropout: nn.Module = new nn.Dropout(0.3);
  pool: nn.Module = new nn.AvgPool2d(2);
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.hardswish.forward(this.conv.forward(this.quant.forward(x)));
    const b = this.leaky.forward(this.bn1.forward(a));
    const c = this.elu.forward(this.gn.forward(b));
    const d = this.prelu.forward(this.instance.forward(c));
    const e = this.relu6.forward(this.ln.forward(d));
    const f = this.dropout.forward(this.relu2.forward(this.bn2.forward(e)));
    return this.dequant.forward(this.pool.forward(f));
  }
}

/** Input [5, n, 4], output [n, 3]. */
class LstmNet extends nn.Module {
  quant: nn.Module = new QuantStub();
  lstm: nn.LSTM;
  fc: nn.Module;
  dequant: nn.Module = new DeQuantStub();

  constructor({ numLayers, bidirectional }: Fields) {
    super();
    this.lstm = new nn.LSTM(4, 6, { numLayers: numLayers as number, bidirectional: bidirectional as boolean });
    this.fc = new nn.Linear(bidirectional ? 12 : 6, 3);
  }

  forward(x: Tensor): Tensor {
    const [y] = this.lstm.forward(this.quant.forward(x));
    return this.dequant.forward(this.fc.forward(select(y, 0, -1)));
  }
}

/** Input [4, n, 8], output [4, n, 8]. */
class AttentionNet extends nn.Module {
  quant: nn.Module = new QuantStub();
  attention = new nn.MultiheadAttention(8, 2);
  fc: nn.Module = new nn.Linear(8, 8);
  dequant: nn.Module = new DeQuantStub();

  forward(input: Tensor): Tensor {
    const x = this.quant.forward(input);
    const [y] = this.attention.forward(x, x, x);
    return this.dequant.forward(this.fc.forward(y));
  }
}

/** Input [n, 6], output [n, 4]. No stubs. */
class DynamicMlp extends nn.Module {
  fc1: nn.Module = new nn.Linear(6, 16);
  relu1: nn.Module = new nn.ReLU();
  fc2: nn.Module = new nn.Linear(16, 4);

  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.relu1.forward(this.fc1.forward(x)));
  }
}

type Layer = nn.Module<[Tensor], readonly [Tensor, unknown]>;

/** Input [5, n, 4], output [n, 3]. */
class DynamicRecurrent extends nn.Module {
  rnn: Layer;
  fc: nn.Module;

  constructor({ kind, options }: Fields) {
    super();
    const settings = options as { readonly bidirectional?: boolean };
    this.rnn = kind === "LSTM" ? new nn.LSTM(4, 6, settings) : new nn.GRU(4, 6, settings);
    this.fc = new nn.Linear(settings.bidirectional ? 12 : 6, 3);
  }

  forward(x: Tensor): Tensor {
    const [y] = this.rnn.forward(x);
    return this.fc.forward(select(y, 0, -1));
  }
}

type Cell = nn.Module<[Tensor, unknown], Tensor | readonly [Tensor, Tensor]>;

/** Input [5, n, 4], output [n, 6]. */
class DynamicCell extends nn.Module {
  cell: Cell;
  private readonly kind: string;

  constructor({ kind }: Fields) {
    super();
    this.kind = kind as string;
    const classes = { LSTMCell: nn.LSTMCell, GRUCell: nn.GRUCell, RNNCell: nn.RNNCell };
    this.cell = new classes[kind as keyof typeof classes](4, 6);
  }

  forward(x: Tensor): Tensor {
    const start = zeros([x.shape[1]!, 6]);
    let state: Tensor | readonly [Tensor, Tensor] = this.kind === "LSTMCell" ? [start, start] : start;
    for (let step = 0; step < x.shape[0]!; step++) state = this.cell.forward(select(x, 0, step), state);
    return "dtype" in state ? state : state[0];
  }
}

/** Indices [m] and offsets [n], output [n, 3]. */
class BagNet extends nn.Module<[Tensor, Tensor]> {
  bag: nn.Module<[Tensor, Tensor]> = new nn.EmbeddingBag(10, 8, { mode: "sum" });
  fc: nn.Module = new nn.Linear(8, 3);

  forward(indices: Tensor, offsets: Tensor): Tensor {
    return this.fc.forward(this.bag.forward(indices, offsets));
  }
}

/** Indices [n, k], output [n, k, 8]. */
class EmbeddingNet extends nn.Module {
  embedding: nn.Module = new nn.Embedding(10, 8);

  forward(indices: Tensor): Tensor {
    return this.embedding.forward(indices);
  }
}

/** Any model of the flows, called with what one batch holds. */
export type FlowModel = nn.AnyModule & { forward(...inputs: readonly Tensor[]): Tensor };

const models: Readonly<Record<string, new (attrs: Fields) => unknown>> = {
  SkipNet, SkipTail, MobileBlock, Mlp, BnMlp, Conv1dNet, Conv3dNet, UpNet, Functionals, Activations, LstmNet, AttentionNet,
  DynamicMlp, DynamicRecurrent, DynamicCell, BagNet, EmbeddingNet, PlainMlp: DynamicMlp,
}; // prettier-ignore

/** The model a case is about, with its options. */
export function makeModel(attrs: Fields): FlowModel {
  return new models[attrs["model"] as string]!(attrs) as FlowModel;
}
