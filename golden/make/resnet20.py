"""The real ResNet-20 through FX graph mode: every range PyTorch finds and every logit it gives.

    python golden/make/resnet20.py <data folder>    # needs: pip install safetensors

The model and the images are not shipped (../../shared/data holds them); only PyTorch's answers are kept. Each mapping
is calibrated twice, with oneDNN's float convolutions and with PyTorch's own: their sums differ in the last bit, and so
do the ranges. How far PyTorch is from itself then is what `repeated` says.
"""
import copy
import sys

import torch
import torch.nn.functional as F
from common import Suite
from safetensors.torch import load_file
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.backend_config import get_qnnpack_backend_config
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

CALIBRATION_IMAGES = 1000
BATCH = 50
BACKENDS = {"x86": None, "qnnpack": get_qnnpack_backend_config()}


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride, self.extra = stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.extra:
            before = self.extra // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before))
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = self.stage(16, 16, 1), self.stage(16, 32, 2), self.stage(32, 64, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, 10)

    @staticmethod
    def stage(inputs, outputs, stride):
        return nn.Sequential(*[Block(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(3)])

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.layer3(self.layer2(self.layer1(y)))
        return self.linear(torch.flatten(self.pool(y), 1))


def images(folder, part):
    tensors = load_file(f"{folder}/cifar10-{part}2000.safetensors")
    x = (tensors["images"].float() / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    return x.permute(0, 3, 1, 2).contiguous(), tensors["labels"].long()


def calibrated(prepared, x, with_onednn):
    model = copy.deepcopy(prepared)
    torch.backends.mkldnn.enabled = with_onednn
    for at in range(0, CALIBRATION_IMAGES, BATCH):
        model(x[at : at + BATCH])
    torch.backends.mkldnn.enabled = True
    found = [m.calculate_qparams() for name, m in model.named_modules() if name.startswith("activation_post_process") and "." not in name]
    return model, torch.cat([scale for scale, _ in found]), torch.cat([zero_point for _, zero_point in found]).int()


def figures(model, x, labels, reference):
    logits = torch.cat([model(part) for part in x.split(100)])
    top1 = (logits.argmax(1) == labels).double().mean().item() * 100
    sqnr = 20 * torch.log10(reference.norm() / (reference - logits).norm()).item()
    return logits, round(top1, 2), round(sqnr, 2)


@torch.no_grad()
def main(folder):
    suite = Suite("resnet20-fx", "resnet20.py", engine="fbgemm")
    (train, _), (test, labels) = images(folder, "train"), images(folder, "test")
    model = ResNet20().eval()
    model.load_state_dict(load_file(f"{folder}/models/resnet20.safetensors"), strict=False)
    reference = torch.cat([model(part) for part in test.split(100)])
    for backend, config in BACKENDS.items():
        prepared = prepare_fx(model, get_default_qconfig_mapping(backend), (train[:2],), backend_config=config)
        observed, scales, zero_points = calibrated(prepared, train, with_onednn=True)
        repeated, other_scales, _ = calibrated(prepared, train, with_onednn=False)
        logits, top1, sqnr = figures(convert_fx(observed), test, labels, reference)
        _, other_top1, other_sqnr = figures(convert_fx(repeated), test, labels, reference)
        integers = torch.round(logits / scales[-1]) + zero_points[-1]
        assert torch.equal((integers - zero_points[-1]) * scales[-1], logits)
        distance = ((other_scales - scales) / scales).abs()
        again = {"top1": other_top1, "sqnr": other_sqnr, "equalScales": int((distance == 0).sum()), "farthestScale": distance.max().item()}
        suite.flow(
            f"resnet20-{backend}",
            "fx",
            {},
            {"mapping": backend, "calibrationImages": CALIBRATION_IMAGES, "batch": BATCH},
            {"scales": scales, "zeroPoints": zero_points, "logits": integers.to(torch.uint8), "top1": top1, "sqnr": sqnr, "repeated": again},
        )
    suite.write()


if __name__ == "__main__":
    main(sys.argv[1])
