"""Float modules: outputs, gradients of inputs and parameters, state-dict keys, and buffers after one call.

Each case holds the constructor's arguments and options under the names of the TypeScript API, the state before
the call, and what the call leaves behind. The gradient of every output is given.
"""
import re

import torch
from torch import nn

from common import Suite, randn, rng, seed_of


def snake(options):
    return {re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), key): value for key, value in options.items()}


def flatten(value):
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in flatten(item)]
    return [value]


def module(s, label, cls, args, options, inputs, call=None, names=(), run=None, training=True):
    """`names` are the inputs from the third on that go into the call's options; `run` calls the module otherwise."""
    name = f"{cls} {label}".strip()
    torch.manual_seed(seed_of(name))
    m = getattr(nn, cls)(*args, **snake(options)).train(training)
    for parameter in m.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(0.1 * torch.randn(parameter.shape))
    state = {key: value.clone() for key, value in m.state_dict().items()}
    leaves = {key: x.clone().requires_grad_(x.is_floating_point()) for key, x in inputs.items()}
    plain = [x for key, x in leaves.items() if key not in names]
    extra = snake({**(call or {}), **{key: leaves[key] for key in names}})
    outputs = flatten(run(m, *plain) if run else m(*plain, **extra))
    grads = [randn(rng(f"{name} {i}"), *y.shape) for i, y in enumerate(outputs)]
    sum((y * g).sum() for y, g in zip(outputs, grads)).backward()
    expected = {
        "outputs": outputs,
        "inputGrads": {key: x.grad for key, x in leaves.items() if x.grad is not None},
        "grads": {key: p.grad for key, p in m.named_parameters() if p.grad is not None},
        "buffers": dict(m.named_buffers()),
    }
    given = {"inputs": inputs, "state": state, "gradOutputs": grads}
    s.case(name, cls, given, {"args": args, "options": options, "call": call or {}, "named": list(names), "training": training}, expected)


def attention(s):
    gen = rng("attention modules")
    E, L, S, N = 8, 4, 6, 3
    variants = [
        ("plain", {}, {}), ("without weights", {}, {"needWeights": False}), ("batch first", {"batchFirst": True}, {}),
        ("other key and value", {"kdim": 5, "vdim": 7}, {}), ("extra keys", {"addBiasKv": True, "addZeroAttn": True}, {}),
        ("weights of heads", {}, {"averageAttnWeights": False}), ("no bias", {"bias": False}, {}),
    ]
    for label, options, call in variants:
        shapes = [[L, N, E], [S, N, options.get("kdim", E)], [S, N, options.get("vdim", E)]]
        if options.get("batchFirst"):
            shapes = [[b, a, c] for a, b, c in shapes]
        inputs = dict(zip(("query", "key", "value"), (randn(gen, *shape) for shape in shapes)))
        module(s, label, "MultiheadAttention", [E, 2], options, inputs, call)
    mask = torch.triu(torch.ones(L, S), 1).bool()
    padding = torch.zeros(N, S).bool()
    padding[1, 4:] = True
    for needed in (True, False):
        inputs = {"query": randn(gen, L, N, E), "key": randn(gen, S, N, E), "value": randn(gen, S, N, E), "attnMask": mask, "keyPaddingMask": padding}
        module(s, f"masks, weights {int(needed)}", "MultiheadAttention", [E, 2], {}, inputs, {"needWeights": needed}, ("attnMask", "keyPaddingMask"))
    inputs = {"query": randn(gen, L, E), "key": randn(gen, S, E), "value": randn(gen, S, E), "attnMask": randn(gen, L, S)}
    module(s, "one sequence, float mask", "MultiheadAttention", [E, 2], {}, inputs, {}, ("attnMask",))
    for options in ({}, {"normFirst": True, "activation": "gelu"}, {"batchFirst": True}, {"bias": False}):
        label = " ".join(options) or "plain"
        module(s, label, "TransformerEncoderLayer", [E, 2], {"dimFeedforward": 16, "dropout": 0, **options}, {"src": randn(gen, L, N, E)})


def convolutions(s):
    gen = rng("conv modules")
    for mode in ("zeros", "reflect", "replicate", "circular"):
        for padding in ((1, 2), "same"):
            label = f"{mode} {padding if padding == 'same' else ''}".strip()
            pads = padding if padding == "same" else list(padding)
            module(s, label, "Conv2d", [2, 3, [2, 3]], {"padding": pads, "paddingMode": mode}, {"x": randn(gen, 1, 2, 5, 6)})
    module(s, "same, odd", "Conv2d", [2, 3, [2, 4]], {"padding": "same", "dilation": [1, 3]}, {"x": randn(gen, 1, 2, 5, 6)})
    module(s, "causal size", "Conv1d", [2, 4, 3], {"groups": 2, "bias": False, "padding": "valid"}, {"x": randn(gen, 2, 2, 6)})
    module(s, "without batch", "Conv2d", [2, 3, 3], {"stride": 2}, {"x": randn(gen, 2, 5, 6)})
    module(s, "plain", "Conv3d", [1, 2, 2], {}, {"x": randn(gen, 1, 1, 3, 4, 3)})
    module(s, "plain", "ConvTranspose1d", [2, 3, 3], {"stride": 2}, {"x": randn(gen, 1, 2, 4)})
    module(s, "rest no window covers", "ConvTranspose2d", [2, 3, 3], {"dilation": 2, "outputPadding": 1}, {"x": randn(gen, 1, 2, 4, 4)})
    module(s, "groups", "ConvTranspose3d", [2, 2, 2], {"groups": 2, "stride": 2}, {"x": randn(gen, 1, 2, 2, 2, 3)})


def norms(s):
    gen = rng("norm modules")
    module(s, "", "BatchNorm2d", [3], {}, {"x": randn(gen, 2, 3, 4, 5)})
    module(s, "outside training", "BatchNorm2d", [3], {}, {"x": randn(gen, 2, 3, 4, 5)}, training=False)
    module(s, "cumulative", "BatchNorm2d", [3], {"momentum": None}, {"x": randn(gen, 2, 3, 4, 5)})
    module(s, "no statistics", "BatchNorm1d", [3], {"trackRunningStats": False, "affine": False}, {"x": randn(gen, 5, 3)}, training=False)
    module(s, "", "BatchNorm3d", [2], {"momentum": 0.3}, {"x": randn(gen, 2, 2, 2, 3, 2)})
    for training in (True, False):
        options = {"affine": True, "trackRunningStats": True}
        module(s, f"tracking, training {int(training)}", "InstanceNorm2d", [3], options, {"x": randn(gen, 2, 3, 4, 5)}, training=training)
    module(s, "without batch", "InstanceNorm1d", [3], {}, {"x": randn(gen, 3, 5)})
    module(s, "no bias", "LayerNorm", [[4, 5]], {"bias": False}, {"x": randn(gen, 2, 4, 5)})
    module(s, "", "GroupNorm", [2, 4], {"eps": 1e-3}, {"x": randn(gen, 2, 4, 3)})
    module(s, "", "RMSNorm", [6], {}, {"x": randn(gen, 2, 5, 6)})
    module(s, "", "LocalResponseNorm", [3], {"alpha": 0.5, "beta": 0.6, "k": 1.3}, {"x": randn(gen, 2, 5, 4, 4)})


def others(s):
    gen = rng("other modules")
    module(s, "", "Linear", [4, 3], {"bias": False}, {"x": randn(gen, 2, 5, 4)})
    module(s, "", "Bilinear", [3, 4, 5], {}, {"x1": randn(gen, 2, 6, 3), "x2": randn(gen, 2, 6, 4)})
    module(s, "", "PReLU", [], {"numParameters": 3}, {"x": randn(gen, 2, 3, 4)})
    module(s, "", "PixelShuffle", [2], {}, {"x": randn(gen, 1, 8, 3, 4)})
    module(s, "", "PixelUnshuffle", [2], {}, {"x": randn(gen, 1, 2, 6, 4)})
    module(s, "", "ChannelShuffle", [2], {}, {"x": randn(gen, 1, 6, 2, 3)})
    module(s, "", "Unflatten", [1, [2, 3]], {}, {"x": randn(gen, 2, 6, 2)})
    module(s, "", "Flatten", [], {}, {"x": randn(gen, 2, 3, 2)})
    module(s, "", "GLU", [1], {}, {"x": randn(gen, 2, 4, 3)})
    module(s, "", "AdaptiveAvgPool2d", [[2, None]], {}, {"x": randn(gen, 1, 2, 5, 3)})
    module(s, "without batch", "MaxPool2d", [3], {"stride": 1, "padding": 1}, {"x": randn(gen, 2, 5, 4)})
    for cls, padding in (("ReflectionPad2d", [1, 0, 2, 1]), ("ReplicationPad1d", [1, 2]), ("CircularPad2d", [1, 1, 1, 2]), ("ZeroPad2d", [1, -1, 0, 2])):
        x = randn(gen, 1, 2, 4, 5) if cls.endswith("2d") else randn(gen, 1, 2, 5)
        module(s, "", cls, [padding], {}, {"x": x})


def main():
    s = Suite("float-modules", "float_modules.py")
    for make in (attention, convolutions, norms, others):
        make(s)
    s.write()


if __name__ == "__main__":
    main()
