# Models about operators around layers: arithmetic, scalars, activations, pools, shapes.
import operator

import torch
import torch.nn as nn
import torch.nn.functional as F


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


class FloatIsland(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 5)
        self.fc2 = nn.Linear(5, 5)

    def forward(self, x):
        return self.fc2(torch.sin(self.fc1(x)))


class AddParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)
        self.offset = nn.Parameter(torch.randn(5))

    def forward(self, x):
        return self.fc(x) + self.offset


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
