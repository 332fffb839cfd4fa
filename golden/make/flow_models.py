"""The models of the eager flows, written plainly so that a TypeScript twin has the same names.

Attribute names are the state-dict names. Every `forward` is the whole program; the fuse lists, qconfig and
data are in flows.py. Weights come from the file, not from an initialiser.
"""
import torch
import torch.ao.quantization as aoq
import torch.nn as nn
from torch.ao.nn.quantized import FloatFunctional


class SkipNet(nn.Module):
    """Convolutions with batch norm and a skip connection. Input [n, 3, 8, 8], output [n, 5]."""

    fuse = [["conv1", "bn1", "relu1"], ["conv2", "bn2"], ["conv3", "relu3"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.skip = FloatFunctional()
        self.relu2 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4)
        self.relu3 = nn.ReLU()
        self.avg = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 5)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.quant(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        x = self.relu2(self.skip.add(x, y))
        x = self.pool(x)
        x = self.relu3(self.conv3(x))
        x = torch.flatten(self.avg(x), 1)
        return self.dequant(self.fc(x))


class MobileBlock(nn.Module):
    """An inverted residual with squeeze and excitation, in nested containers. Input [n, 4, 6, 6], output [n, 3]."""

    fuse = [["expand.0", "expand.1"], ["depthwise.0", "depthwise.1", "depthwise.2"], ["squeeze.1", "squeeze.2"], ["project.0", "project.1"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.expand = nn.Sequential(nn.Conv2d(4, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1), nn.Hardsigmoid())
        self.scale = FloatFunctional()
        self.project = nn.Sequential(nn.Conv2d(16, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.residual = FloatFunctional()
        self.reflect = nn.Conv2d(4, 5, 3, padding=1, padding_mode="reflect")
        self.tail = nn.Sequential(nn.ReLU6(), nn.Upsample(scale_factor=2, mode="nearest"), nn.MaxPool2d(3, stride=2), nn.Flatten(), nn.Linear(125, 3))
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.quant(x)
        y = self.depthwise(self.expand(x))
        y = self.scale.mul(y, self.squeeze(y))
        y = self.residual.add(self.project(y), x)
        return self.dequant(self.tail(self.reflect(y)))


class Mlp(nn.Module):
    """Three linears; the first is fused with its ReLU. Input [n, 6], output [n, 4]."""

    fuse = [["fc1", "relu1"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.fc1 = nn.Linear(6, 16)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(16, 11)
        self.relu2 = nn.ReLU()
        self.fc3 = nn.Linear(11, 4, bias=False)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.quant(x)
        x = self.relu1(self.fc1(x))
        x = self.relu2(self.fc2(x))
        return self.dequant(self.fc3(x))


class BnMlp(nn.Module):
    """A linear with batch norm. Input [n, 6], output [n, 4]."""

    fuse = [["fc1", "bn1"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.fc1 = nn.Linear(6, 16)
        self.bn1 = nn.BatchNorm1d(16)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(16, 4)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.relu1(self.bn1(self.fc1(self.quant(x))))
        return self.dequant(self.fc2(x))


class Conv1dNet(nn.Module):
    """One-dimensional convolutions. Input [n, 2, 16], output [n, 3]."""

    fuse = [["conv1", "bn1", "relu1"], ["conv2", "relu2"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.conv1 = nn.Conv1d(2, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm1d(6)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv1d(6, 4, 5, stride=2, dilation=2, padding=2)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv1d(4, 4, 3, groups=2)
        self.fc = nn.Linear(16, 3)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.quant(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.conv2(x))
        x = self.conv3(x)
        return self.dequant(self.fc(torch.flatten(x, 1)))


class Conv3dNet(nn.Module):
    """Input [n, 2, 4, 5, 6], output [n, 3]."""

    fuse = [["conv1", "bn1", "relu1"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.conv1 = nn.Conv3d(2, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm3d(4)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(4, 3, 2, stride=2)
        self.avg = nn.AdaptiveAvgPool3d(1)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(self.quant(x))))
        x = self.avg(self.conv2(x))
        return self.dequant(torch.flatten(x, 1))


class UpNet(nn.Module):
    """Transposed convolutions (per-tensor weights only). Input [n, 4, 5, 5], output [n, 2, 11, 11]."""

    fuse = [["up1", "bn1"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.up1 = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu1 = nn.ReLU()
        self.up2 = nn.ConvTranspose2d(6, 2, 2, groups=2)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.relu1(self.bn1(self.up1(self.quant(x))))
        return self.dequant(self.up2(x))


class Functionals(nn.Module):
    """Every FloatFunctional operation. Input [n, 4, 6], output [n, 8, 4]."""

    fuse = []

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.fc = nn.Linear(6, 6)
        self.plus = FloatFunctional()
        self.plusrelu = FloatFunctional()
        self.times = FloatFunctional()
        self.join = FloatFunctional()
        self.product = FloatFunctional()
        self.shift = FloatFunctional()
        self.stretch = FloatFunctional()
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.quant(x)
        y = self.fc(x)
        a = self.plus.add(x, y)
        b = self.times.mul(a, y)
        c = self.plusrelu.add_relu(a, b)
        c = self.shift.add_scalar(c, 0.5)
        b = self.stretch.mul_scalar(b, -1.5)
        d = self.join.cat([b, c], 1)
        return self.dequant(self.product.matmul(d, a.transpose(1, 2)))


class Activations(nn.Module):
    """Modules that have a quantized twin of their own. Input [n, 4, 6, 6], output [n, 4, 3, 3]."""

    fuse = [["bn2", "relu2"]]

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.hardswish = nn.Hardswish()
        self.bn1 = nn.BatchNorm2d(4)
        self.leaky = nn.LeakyReLU(0.2)
        self.gn = nn.GroupNorm(2, 4)
        self.elu = nn.ELU(0.7)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.prelu = nn.PReLU(4)
        self.ln = nn.LayerNorm([6, 6])
        self.relu6 = nn.ReLU6()
        self.bn2 = nn.BatchNorm2d(4)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout(0.3)
        self.pool = nn.AvgPool2d(2)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.hardswish(self.conv(self.quant(x)))
        x = self.leaky(self.bn1(x))
        x = self.elu(self.gn(x))
        x = self.prelu(self.instance(x))
        x = self.relu6(self.ln(x))
        x = self.dropout(self.relu2(self.bn2(x)))
        return self.dequant(self.pool(x))


class LstmNet(nn.Module):
    """A quantizable LSTM and a linear on its last step. Input [5, n, 4], output [n, 3]."""

    fuse = []

    def __init__(self, num_layers=1, bidirectional=False):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.lstm = nn.LSTM(4, 6, num_layers=num_layers, bidirectional=bidirectional)
        self.fc = nn.Linear(12 if bidirectional else 6, 3)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        y, _ = self.lstm(self.quant(x))
        return self.dequant(self.fc(y[-1]))


class AttentionNet(nn.Module):
    """Quantizable self-attention. Input [4, n, 8], output [4, n, 8]."""

    fuse = []

    def __init__(self):
        super().__init__()
        self.quant = aoq.QuantStub()
        self.attention = nn.MultiheadAttention(8, 2)
        self.fc = nn.Linear(8, 8)
        self.dequant = aoq.DeQuantStub()

    def forward(self, x):
        x = self.quant(x)
        y, _ = self.attention(x, x, x)
        return self.dequant(self.fc(y))


class DynamicMlp(nn.Module):
    """Linears without stubs. Input [n, 6], output [n, 4]."""

    fuse = [["fc1", "relu1"]]

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        return self.fc2(self.relu1(self.fc1(x)))


class DynamicRecurrent(nn.Module):
    """A recurrent module and a linear. Input [5, n, 4], output [n, 3]."""

    fuse = []

    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = getattr(nn, kind)(4, 6, **options)
        self.fc = nn.Linear(6 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.fc(y[-1])


class DynamicCell(nn.Module):
    """A recurrent cell stepped over a sequence. Input [5, n, 4], output [n, 6]."""

    fuse = []

    def __init__(self, kind):
        super().__init__()
        self.cell = getattr(nn, kind)(4, 6)

    def forward(self, x):
        hx = torch.zeros(x.shape[1], 6)
        cx = torch.zeros(x.shape[1], 6)
        for step in x:
            if isinstance(self.cell, nn.LSTMCell) or hasattr(self.cell, "_get_name") and "LSTM" in self.cell._get_name():
                hx, cx = self.cell(step, (hx, cx))
            else:
                hx = self.cell(step, hx)
        return hx


class BagNet(nn.Module):
    """An embedding bag and a linear. Indices [m], offsets [n], output [n, 3]."""

    fuse = []

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(10, 8, mode="sum")
        self.fc = nn.Linear(8, 3)

    def forward(self, indices, offsets):
        return self.fc(self.bag(indices, offsets))


class EmbeddingNet(nn.Module):
    """An embedding. Indices [n, k], output [n, k, 8]."""

    fuse = []

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)

    def forward(self, indices):
        return self.embedding(indices)


class PlainMlp(nn.Module):
    """No stubs: for QuantWrapper and add_quant_dequant. Input [n, 6], output [n, 4]."""

    fuse = []

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        return self.fc2(self.relu1(self.fc1(x)))
