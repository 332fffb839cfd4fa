# Models about layers and their fusions: linear, convolutions, batch norm, functional forms, normalization,
# embeddings, recurrent layers.
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
