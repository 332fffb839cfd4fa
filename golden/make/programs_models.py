# The models whose quantized programs are recorded: small, but each holding one
# structure that decides where quantize/dequantize nodes go (fusion, sharing,
# fixed qparams, scalar operands, shared modules, ...).  The TypeScript twins in
# test/golden/programs/models.ts carry the same ids and parameter names.
import operator

import torch
import torch.nn as nn
import torch.nn.functional as F


class Linear1(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(x)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 16)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        return self.fc2(self.relu(self.fc1(x)))


class LinearNoBias(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 8, bias=False)
        self.fc2 = nn.Linear(8, 3, bias=False)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class Conv1(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class ConvRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv(x))


class ConvBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)

    def forward(self, x):
        return self.bn(self.conv(x))


class ConvBnRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


class SmallCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(8, 12, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(12)
        self.relu2 = nn.ReLU()
        self.avg = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.pool(self.relu1(self.bn1(self.conv1(x))))
        x = self.avg(self.relu2(self.bn2(self.conv2(x))))
        return self.fc(torch.flatten(x, 1))


class ResBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + x)


class SkipAdd(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)
        self.conv2 = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return torch.add(self.conv1(x), self.conv2(x))


class AddSelf(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        return x + x


class CatNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)
        self.conv2 = nn.Conv2d(3, 2, 1)
        self.conv3 = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        return self.conv3(torch.cat([self.conv1(x), self.conv2(x)], 1))


class CatInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x):
        return torch.cat([self.conv(x), x, self.pool(x)], dim=1)


class CatTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)
        self.conv2 = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        a = self.conv1(x)
        b = self.conv2(a)
        c = torch.cat([a, b], 1)
        return torch.cat([c, a], 1)


class StackNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, 4)

    def forward(self, x):
        return torch.stack([self.fc1(x), self.fc2(x)], 1)


class SharedLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.fc(self.relu(self.fc(x)))


class SharedConvBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x, y):
        return self.conv(x) + self.conv(y)


class FunctionalLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight1 = nn.Parameter(torch.randn(8, 6) * 0.4)
        self.bias1 = nn.Parameter(torch.randn(8) * 0.2)
        self.weight2 = nn.Parameter(torch.randn(3, 8) * 0.4)

    def forward(self, x):
        x = F.relu(F.linear(x, self.weight1, self.bias1))
        return F.linear(x, self.weight2)


class FunctionalConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight1 = nn.Parameter(torch.randn(6, 3, 3, 3) * 0.2)
        self.bias1 = nn.Parameter(torch.randn(6) * 0.1)
        self.weight2 = nn.Parameter(torch.randn(4, 6, 1, 1) * 0.3)

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.weight1, self.bias1, (1, 1), (1, 1), (1, 1), 1))
        return F.conv2d(x, self.weight2, None, (2, 2), (0, 0), (1, 1), 1)


class ScalarOps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        x = x + 3
        x = x * 0.5
        return F.relu(x + 0.25)


class ScalarMulRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = torch.mul(self.fc(x), 2.0)
        return F.relu(torch.mul(x, -1.5))


class MulNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1)
        self.b = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(x)
        return F.relu(a * b) * a


class MatmulNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(6, 6)
        self.k = nn.Linear(6, 6)

    def forward(self, x):
        return torch.matmul(self.q(x), self.k(x).transpose(1, 2))


class FixedModules(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 5)
        self.sigmoid = nn.Sigmoid()
        self.fc2 = nn.Linear(5, 5)
        self.tanh = nn.Tanh()
        self.fc3 = nn.Linear(5, 5)
        self.hardsigmoid = nn.Hardsigmoid()
        self.fc4 = nn.Linear(5, 5)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.fc2(self.sigmoid(self.fc1(x)))
        x = self.fc3(self.tanh(x))
        return self.softmax(self.fc4(self.hardsigmoid(x)))


class FixedFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        a = torch.sigmoid(x)
        b = torch.tanh(x)
        c = F.hardsigmoid(x)
        return torch.cat([a, b, c], 1)


class ActivationModules(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)
        self.hardswish = nn.Hardswish()
        self.conv2 = nn.Conv2d(4, 4, 1)
        self.elu = nn.ELU()
        self.conv3 = nn.Conv2d(4, 4, 1)
        self.leaky = nn.LeakyReLU(0.1)
        self.prelu = nn.PReLU()

    def forward(self, x):
        x = self.hardswish(self.conv1(x))
        x = self.elu(self.conv2(x))
        return self.prelu(self.leaky(self.conv3(x)))


class PReluLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 4)
        self.prelu = nn.PReLU(4)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.prelu(self.fc(x)))


class ActivationFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        x = F.hardswish(x)
        x = F.elu(x)
        return F.leaky_relu(x, 0.2)


class PoolsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu6 = nn.ReLU6()
        self.max = nn.MaxPool2d(2)
        self.avg = nn.AvgPool2d(3, stride=1)
        self.hardtanh = nn.Hardtanh(-0.5, 0.5)
        self.conv2 = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.max(self.relu6(self.conv(x)))
        return self.conv2(self.hardtanh(self.avg(x)))


class PoolFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(self.conv(x), 2)
        x = F.avg_pool2d(x, 3, stride=1)
        x = torch.clamp(x, -1.0, 1.0)
        return F.adaptive_avg_pool2d(x, (1, 1))


class ShapesNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = self.conv(x)
        x = x.permute(0, 2, 3, 1)
        x = x.reshape(-1, 4)
        x = self.fc(x)
        x = x.unsqueeze(0).transpose(1, 2)
        return torch.flatten(x, 1)


class ReshapeSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.fc = nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x.reshape(x.size(0), -1)
        return self.fc(x)


class MeanNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.conv(x).mean([2, 3]))


class InterpolateNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)
        self.conv2 = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = F.interpolate(self.conv1(x), scale_factor=2.0, mode="nearest")
        return self.conv2(x)


class PixelShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.out = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.out(self.shuffle(self.conv(x)))


class DropoutNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 8)
        self.drop = nn.Dropout(0.3)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(self.drop(F.relu(self.fc1(x))))


class ConvTransposeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)

    def forward(self, x):
        return self.up(F.relu(self.conv(x)))


class ConvTransposeBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 2, stride=2)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn(self.up(x))


class Conv1dNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm1d(6)
        self.conv2 = nn.Conv1d(6, 2, 3, stride=2)

    def forward(self, x):
        return self.conv2(F.relu(self.bn(self.conv1(x))))


class Conv3dNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(2, 3, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv(x))


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand = nn.Conv2d(4, 8, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.act1 = nn.ReLU6()
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.act2 = nn.ReLU6()
        self.project = nn.Conv2d(8, 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.act1(self.bn1(self.expand(x)))
        y = self.act2(self.bn2(self.dw(y)))
        return x + self.bn3(self.project(y))


class LinearBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)
        self.bn = nn.BatchNorm1d(5)

    def forward(self, x):
        return self.bn(self.fc(x))


class BnAfterPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.pool = nn.MaxPool2d(2)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.bn2 = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.relu(self.bn1(self.pool(self.conv(x))))
        return self.bn2(x)


class LayerNormNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.norm(self.fc(x)))


class NormsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.inorm = nn.InstanceNorm2d(4, affine=True)
        self.gweight = nn.Parameter(torch.rand(4) + 0.5)
        self.gbias = nn.Parameter(torch.randn(4) * 0.1)

    def forward(self, x):
        x = self.inorm(self.conv(x))
        return F.group_norm(x, 2, self.gweight, self.gbias)


class EmbeddingNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(12, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, ids):
        return self.fc(self.emb(ids))


class EmbeddingBagNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(12, 8, mode="sum", include_last_offset=True)
        self.fc = nn.Linear(8, 4)

    def forward(self, ids, offsets):
        return self.fc(self.bag(ids, offsets))


class LstmNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.fc(y)


class GruNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 5)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y, _ = self.gru(x)
        return self.fc(y)


class CellsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(4, 5)
        self.gru = nn.GRUCell(5, 5)
        self.rnn = nn.RNNCell(5, 3)

    def forward(self, x):
        h, c = self.lstm(x)
        return self.rnn(self.gru(h, c))


class TwoInTwoOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 4)
        self.fc2 = nn.Linear(3, 4)

    def forward(self, x, y):
        a = self.fc1(x)
        b = self.fc2(y)
        return a + b, F.relu(b)


class DictOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        features = F.relu(self.conv(x))
        return {"features": features, "scores": self.head(features)}


class Branch(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc1 = nn.Linear(n, n)
        self.fc2 = nn.Linear(n, n)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class WideMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(32, 8)

    def forward(self, x):
        return self.fc2(self.relu(self.fc1(x)))


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = Branch(4)
        self.right = Branch(4)
        self.conv = nn.Conv1d(2, 2, 1)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x)
        return self.out(self.left(x) + self.right(x))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = self.fc(x)
        if x.sum() > 1e6:
            x = x * 2
        return x


class NonTraceableNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.gate = Gate()
        self.fc2 = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc2(self.gate(self.fc1(x)))


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


class CustomNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.custom = Scale()
        self.fc2 = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc2(self.custom(self.fc1(x)))


class StandaloneNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.child = Branch(4)
        self.fc2 = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc2(self.child(self.fc1(x)))


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(6, 3, 1)
        self.expand = nn.Conv2d(3, 6, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x):
        x = self.conv(x)
        s = self.expand(F.relu(self.reduce(self.pool(x))))
        return self.gate(s) * x


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(8, 8)
        self.k = nn.Linear(8, 8)
        self.v = nn.Linear(8, 8)
        self.out = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        q = self.q(x)
        k = self.k(x)
        v = self.v(x)
        a = torch.softmax(torch.matmul(q, k.transpose(1, 2)) * 0.35, -1)
        return self.norm(x + self.out(torch.matmul(a, v)))


class UnetMini(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.mid = nn.Conv2d(4, 6, 3, padding=1)
        self.up = nn.Conv2d(10, 2, 3, padding=1)

    def forward(self, x):
        d = F.relu(self.down(x))
        m = F.relu(self.mid(self.pool(d)))
        u = F.interpolate(m, scale_factor=2.0, mode="nearest")
        return self.up(torch.cat([d, u], 1))


class FloatIsland(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 5)
        self.fc2 = nn.Linear(5, 5)

    def forward(self, x):
        return self.fc2(torch.sin(self.fc1(x)))


class BranchReuse(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.a = nn.Conv2d(4, 4, 1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = F.relu(self.stem(x))
        return self.pool(self.a(x)), self.b(x), x


class AddParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)
        self.offset = nn.Parameter(torch.randn(5))

    def forward(self, x):
        return self.fc(x) + self.offset


class InplaceRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.conv2(x)
        x += 1.0
        return F.relu(x, inplace=True)


class Sequential3(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x):
        return self.net(x)


class MixedOps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = self.conv(x)
        y = operator.add(y, F.avg_pool2d(y, 3, stride=1, padding=1))
        y = F.adaptive_avg_pool2d(y, 1).squeeze(3).squeeze(2)
        return self.fc(y)


def f(*shape):
    return ("float", shape)


def i(high, *shape):
    return ("int", shape, high)


def bag_offsets(*values):
    return ("offsets", values)


# Averages run over an odd number of values, so that they never stand on a rounding tie.
# id -> (class, one entry per positional input)
MODELS = {
    "linear": (Linear1, [f(4, 6)]),
    "mlp": (Mlp, [f(5, 8)]),
    "linear-no-bias": (LinearNoBias, [f(4, 8)]),
    "conv": (Conv1, [f(2, 3, 6, 6)]),
    "conv-relu": (ConvRelu, [f(2, 3, 7, 7)]),
    "conv-bn": (ConvBn, [f(2, 3, 6, 6)]),
    "conv-bn-relu": (ConvBnRelu, [f(2, 3, 6, 6)]),
    "small-cnn": (SmallCnn, [f(2, 3, 6, 6)]),
    "res-block": (ResBlock, [f(2, 4, 6, 6)]),
    "skip-add": (SkipAdd, [f(2, 3, 4, 4)]),
    "add-self": (AddSelf, [f(2, 3, 4, 4)]),
    "cat": (CatNet, [f(2, 3, 4, 4)]),
    "cat-input": (CatInput, [f(2, 3, 5, 5)]),
    "cat-twice": (CatTwice, [f(2, 3, 4, 4)]),
    "stack": (StackNet, [f(3, 4)]),
    "shared-linear": (SharedLinear, [f(4, 5)]),
    "shared-conv-branches": (SharedConvBranches, [f(1, 3, 5, 5), f(1, 3, 5, 5)]),
    "functional-linear": (FunctionalLinear, [f(4, 6)]),
    "functional-conv": (FunctionalConv, [f(2, 3, 6, 6)]),
    "scalar-ops": (ScalarOps, [f(2, 3, 4, 4)]),
    "scalar-mul-relu": (ScalarMulRelu, [f(3, 4)]),
    "mul": (MulNet, [f(2, 3, 4, 4)]),
    "matmul": (MatmulNet, [f(2, 4, 6)]),
    "fixed-modules": (FixedModules, [f(4, 5)]),
    "fixed-functions": (FixedFunctions, [f(2, 3, 4, 4)]),
    "activation-modules": (ActivationModules, [f(2, 3, 4, 4)]),
    "prelu-linear": (PReluLinear, [f(4, 5)]),
    "activation-functions": (ActivationFunctions, [f(2, 3, 4, 4)]),
    "pools": (PoolsNet, [f(1, 3, 8, 8)]),
    "pool-functions": (PoolFunctions, [f(1, 3, 10, 10)]),
    "shapes": (ShapesNet, [f(1, 3, 4, 4)]),
    "reshape-size": (ReshapeSize, [f(2, 3, 6, 6)]),
    "mean": (MeanNet, [f(2, 3, 5, 5)]),
    "interpolate": (InterpolateNet, [f(1, 3, 4, 4)]),
    "pixel-shuffle": (PixelShuffleNet, [f(1, 3, 4, 4)]),
    "dropout": (DropoutNet, [f(4, 6)]),
    "conv-transpose": (ConvTransposeNet, [f(1, 3, 6, 6)]),
    "conv-transpose-bn": (ConvTransposeBn, [f(2, 3, 4, 4)]),
    "conv1d": (Conv1dNet, [f(2, 3, 9)]),
    "conv3d": (Conv3dNet, [f(1, 2, 4, 4, 4)]),
    "depthwise": (Depthwise, [f(1, 4, 6, 6)]),
    "linear-bn": (LinearBn, [f(6, 6)]),
    "bn-after-pool": (BnAfterPool, [f(2, 3, 6, 6)]),
    "layer-norm": (LayerNormNet, [f(4, 6)]),
    "norms": (NormsNet, [f(2, 3, 4, 4)]),
    "embedding": (EmbeddingNet, [i(12, 2, 4)]),
    "embedding-bag": (EmbeddingBagNet, [i(12, 7), bag_offsets(0, 3, 5, 7)]),
    "lstm": (LstmNet, [f(4, 2, 6)]),
    "gru": (GruNet, [f(4, 2, 6)]),
    "cells": (CellsNet, [f(3, 4)]),
    "two-in-two-out": (TwoInTwoOut, [f(3, 5), f(3, 3)]),
    "dict-out": (DictOut, [f(1, 3, 4, 4)]),
    "wide-mlp": (WideMlp, [f(4, 64)]),
    "nested": (Nested, [f(3, 2, 4)]),
    "non-traceable": (NonTraceableNet, [f(3, 4)]),
    "custom-module": (CustomNet, [f(3, 4)]),
    "standalone": (StandaloneNet, [f(3, 4)]),
    "squeeze-excite": (SqueezeExcite, [f(1, 3, 5, 5)]),
    "attention": (Attention, [f(2, 4, 8)]),
    "unet-mini": (UnetMini, [f(1, 3, 6, 6)]),
    "float-island": (FloatIsland, [f(3, 5)]),
    "branch-reuse": (BranchReuse, [f(1, 3, 4, 4)]),
    "add-parameter": (AddParameter, [f(3, 5)]),
    "inplace-relu": (InplaceRelu, [f(1, 3, 4, 4)]),
    "sequential": (Sequential3, [f(4, 6)]),
    "mixed-ops": (MixedOps, [f(1, 3, 5, 5)]),
}
