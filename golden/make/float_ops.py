"""Float operators, forward and gradient: pointwise, shapes, reductions, products, convolutions, pools.

Every differentiable case holds `gradOutput` among its inputs and `grads` (by input name) among what
is expected. A tuple result is `outputs`; only its first tensor receives `gradOutput`.
"""
import torch
import torch.nn.functional as F

from common import Suite, encode, randn, rng

INF, NAN = float("inf"), float("nan")
SPECIAL = torch.tensor([NAN, INF, -INF, 0.0, -0.0, 1e-40, -1e-40, 1e30, -1e30, 88.0, -88.0, 104.0, -104.0, 3.0, -3.0, 6.0, 0.5])


def op(s, label, name, fn, inputs, attrs=None, gradient=True):
    """Runs fn(inputs) and writes the case; floating inputs get gradients."""
    leaves = {}
    for key, value in inputs.items():
        if isinstance(value, list):
            leaves[key] = [v.clone().requires_grad_(gradient and v.is_floating_point()) for v in value]
        else:
            leaves[key] = value.clone().requires_grad_(gradient and value.is_floating_point())
    result = fn(**leaves)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    expected = {"output": outputs[0]} if len(outputs) == 1 else {"outputs": outputs}
    given = dict(inputs)
    full = f"{name} {label}".strip()
    if gradient and outputs[0].requires_grad:
        g = randn(rng(full + "grad"), *outputs[0].shape)
        outputs[0].backward(g)
        given["gradOutput"] = g
        grads = {}
        for key, value in leaves.items():
            if isinstance(value, list):
                grads[key] = [v.grad for v in value]
            elif value.grad is not None:
                grads[key] = value.grad
        expected["grads"] = grads
    s.case(full, name, given, attrs or {}, expected)


def pointwise(s):
    gen = rng("binary")
    shapes = [("same", [3, 4], [3, 4]), ("row", [3, 4], [4]), ("column", [3, 4], [3, 1]), ("outer", [3, 1], [1, 5]), ("scalar", [2, 3], []), ("deep", [2, 1, 3, 1], [4, 1, 5]), ("empty", [0, 3], [1, 3])]
    for name, fn in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div), ("maximum", torch.maximum), ("minimum", torch.minimum)):
        for label, a, b in shapes:
            x, other = randn(gen, *a), randn(gen, *b)
            if name == "div":
                other = torch.where(other.abs() < 0.3, torch.full_like(other, 0.7), other)
            op(s, label, name, lambda x, other, f=fn: f(x, other), {"x": x, "other": other})
        op(s, "special", name, lambda x, other, f=fn: f(x, other), {"x": SPECIAL.repeat(3), "other": torch.cat([SPECIAL, SPECIAL.flip(0), SPECIAL.roll(5)])}, gradient=False)
    tie = torch.tensor([1.0, 2.0, 3.0])
    op(s, "ties", "maximum", lambda x, other: torch.maximum(x, other), {"x": tie, "other": torch.tensor([1.0, 2.5, 3.0])})
    op(s, "alpha", "add", lambda x, other: torch.add(x, other, alpha=0.5), {"x": randn(gen, 4), "other": randn(gen, 4)}, {"alpha": 0.5})

    unary = {
        "neg": (torch.neg, {}), "exp": (torch.exp, {}), "abs": (torch.abs, {}), "relu": (F.relu, {}), "relu6": (F.relu6, {}),
        "sigmoid": (torch.sigmoid, {}), "tanh": (torch.tanh, {}), "hardsigmoid": (F.hardsigmoid, {}), "hardswish": (F.hardswish, {}),
        "silu": (F.silu, {}), "gelu": (F.gelu, {}), "elu": (F.elu, {}), "leakyRelu": (F.leaky_relu, {}), "hardtanh": (F.hardtanh, {}),
        "log": (torch.log, {}), "sqrt": (torch.sqrt, {}),
    }
    for name, (fn, attrs) in unary.items():
        x = randn(gen, 4, 7, scale=3.0)
        if name in ("log", "sqrt"):
            x = x.abs() + 0.1
        op(s, "", name, lambda x, f=fn: f(x), {"x": x}, attrs)
        # PyTorch's vector gelu multiplies infinity by zero; its scalar form does not
        special = SPECIAL[SPECIAL.abs() < INF] if name == "gelu" else SPECIAL
        op(s, "special", name, lambda x, f=fn: f(x), {"x": special}, attrs, gradient=False)
    knots = torch.tensor([-3.0, -1.0, 0.0, -0.0, 1.0, 3.0, 6.0])
    for name in ("relu", "relu6", "hardsigmoid", "hardswish", "hardtanh", "elu", "leakyRelu", "abs"):
        op(s, "at the knots", name, lambda x, f=unary[name][0]: f(x), {"x": knots})
    x = randn(gen, 3, 5, scale=2.0)
    op(s, "alpha 0.3", "elu", lambda x: F.elu(x, 0.3), {"x": x}, {"alpha": 0.3})
    op(s, "slope 0.2", "leakyRelu", lambda x: F.leaky_relu(x, 0.2), {"x": x}, {"negativeSlope": 0.2})
    op(s, "-0.5..2", "hardtanh", lambda x: F.hardtanh(x, -0.5, 2.0), {"x": x}, {"minVal": -0.5, "maxVal": 2.0})
    op(s, "tanh", "gelu", lambda x: F.gelu(x, approximate="tanh"), {"x": x}, {"approximate": "tanh"})
    for lo, hi in ((-0.5, 0.75), (None, 0.5), (-0.25, None)):
        op(s, f"{lo}..{hi}", "clamp", lambda x, a=lo, b=hi: torch.clamp(x, a, b), {"x": x}, {"min": lo, "max": hi})
    for exponent in (2, 3, 0.5, -1, 0, 1.7):
        op(s, f"{exponent}", "pow", lambda x, e=exponent: torch.pow(x, e), {"x": randn(gen, 9).abs() + 0.2}, {"exponent": exponent})
    op(s, "negative base", "pow", lambda x: torch.pow(x, 3), {"x": randn(gen, 5)}, {"exponent": 3})
    op(s, "one weight", "prelu", F.prelu, {"x": randn(gen, 2, 3, 4), "weight": torch.tensor([0.25])}, {})
    op(s, "per channel", "prelu", F.prelu, {"x": randn(gen, 2, 3, 4), "weight": torch.tensor([0.25, -0.1, 1.5])}, {})
    for dim in (-1, 0, 1):
        for name, fn in (("softmax", F.softmax), ("logSoftmax", F.log_softmax)):
            op(s, f"dim {dim}", name, lambda x, f=fn, d=dim: f(x, d), {"x": randn(gen, 3, 4, 5, scale=3.0)}, {"dim": dim})
    op(s, "large", "softmax", lambda x: F.softmax(x, 0), {"x": torch.tensor([1000.0, 1001.0, -1000.0])}, {"dim": 0})
    op(s, "large", "logSoftmax", lambda x: F.log_softmax(x, 0), {"x": torch.tensor([1000.0, 1001.0, -1000.0])}, {"dim": 0})
    op(s, "masked", "softmax", lambda x: F.softmax(x, -1), {"x": torch.tensor([[1.0, -INF, 2.0], [-INF, -INF, 0.0]])}, {"dim": -1})
    op(s, "eval", "dropout", lambda x: F.dropout(x, 0.5, False), {"x": randn(gen, 5)}, {"p": 0.5, "training": False})


def reductions(s):
    gen = rng("reductions")
    x = randn(gen, 3, 4, 5)
    dims = [("all", None, False), ("0", [0], False), ("-1 keep", [-1], True), ("0,2", [0, 2], False), ("1,2 keep", [1, 2], True)]
    for label, dim, keep in dims:
        attrs = {"dim": dim, "keepdim": keep}
        for name, fn in (("sum", torch.sum), ("mean", torch.mean)):
            op(s, label, name, lambda x, f=fn, d=dim, k=keep: f(x) if d is None else f(x, d, keepdim=k), {"x": x}, attrs)
        for correction in (1, 0):
            op(s, f"{label} correction {correction}", "var", lambda x, d=dim, k=keep, c=correction: torch.var(x, dim=d, keepdim=k, correction=c), {"x": x}, {**attrs, "correction": correction})
    op(s, "empty", "sum", lambda x: torch.sum(x, 1), {"x": torch.zeros(2, 0)}, {"dim": [1], "keepdim": False})
    for dim, keep in ((0, False), (1, True), (-1, False)):
        for name, fn in (("max", torch.max), ("min", torch.min)):
            op(s, f"dim {dim} keep {int(keep)}", name, lambda x, f=fn, d=dim, k=keep: f(x, d, k), {"x": x}, {"dim": dim, "keepdim": keep})
        op(s, f"dim {dim} keep {int(keep)}", "argmax", lambda x, d=dim, k=keep: torch.argmax(x, d, k), {"x": x}, {"dim": dim, "keepdim": keep}, gradient=False)
    for name, fn in (("max", torch.max), ("min", torch.min)):
        op(s, "all", name, lambda x, f=fn: f(x), {"x": x}, {})
        op(s, "all nan", name, lambda x, f=fn: f(x), {"x": torch.tensor([1.0, NAN, 3.0])}, {}, gradient=False)
        op(s, "all ties", name, lambda x, f=fn: f(x), {"x": torch.tensor([3.0, -3.0, 3.0, -3.0])}, {})
    op(s, "flat", "argmax", lambda x: torch.argmax(x), {"x": x}, {"dim": None, "keepdim": False}, gradient=False)
    op(s, "ties", "argmax", lambda x: torch.argmax(x, 1), {"x": torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]])}, {"dim": 1, "keepdim": False}, gradient=False)
    op(s, "nan", "argmax", lambda x: torch.argmax(x, 0), {"x": torch.tensor([1.0, NAN, 3.0])}, {"dim": 0, "keepdim": False}, gradient=False)


def shapes(s):
    gen = rng("shapes")
    x = randn(gen, 2, 3, 4)
    ys = [randn(gen, 2, n, 4) for n in (3, 1, 2)]
    op(s, "dim 1", "cat", lambda tensors: torch.cat(tensors, 1), {"tensors": ys}, {"dim": 1})
    op(s, "dim -1", "cat", lambda tensors: torch.cat(tensors, -1), {"tensors": [x, x[:, :, :1].clone()]}, {"dim": -1})
    op(s, "dim 1", "stack", lambda tensors: torch.stack(tensors, 1), {"tensors": [x, x + 1]}, {"dim": 1})
    op(s, "dim -1", "stack", lambda tensors: torch.stack(tensors, -1), {"tensors": [x, x + 1]}, {"dim": -1})
    op(s, "size 2", "split", lambda x: torch.split(x, 2, 1), {"x": x}, {"splitSize": 2, "dim": 1})
    op(s, "sections", "split", lambda x: torch.split(x, [1, 3], 2), {"x": x}, {"splitSize": [1, 3], "dim": 2})
    for label, dim, start, end, step in (("middle", 2, 1, 3, 1), ("step", 2, 0, 4, 2), ("negative", 1, -2, 3, 1), ("beyond", 1, 1, 99, 1)):
        size = x.shape[dim]
        index = [slice(None)] * 3
        index[dim] = slice(start, end, step)
        op(s, label, "slice", lambda x, i=tuple(index): x[i], {"x": x}, {"dim": dim, "start": start, "end": end, "step": step})
        assert size
    index = torch.tensor([[[0, 2, 1, 1], [2, 2, 0, 0]], [[1, 1, 1, 1], [0, 2, 0, 2]]])
    op(s, "dim 1", "gather", lambda x, index: torch.gather(x, 1, index), {"x": x, "index": index}, {"dim": 1})
    y = randn(gen, 1, 2, 4, 5)
    for mode, pad in (("constant", [1, 2, 0, 1]), ("constant", [-1, 0, 1, -1]), ("reflect", [2, 1, 1, 2]), ("replicate", [2, 1, 1, 2]), ("circular", [2, 1, 1, 2])):
        extra = {"value": 0.5} if mode == "constant" else {}
        op(s, f"{mode} {pad}", "pad", lambda x, m=mode, p=pad: F.pad(x, p, m, **({"value": 0.5} if m == "constant" else {})), {"x": y}, {"padding": pad, "mode": mode, **extra})
    op(s, "reflect 1d", "pad", lambda x: F.pad(x, [2, 3], "reflect"), {"x": randn(gen, 1, 2, 5)}, {"padding": [2, 3], "mode": "reflect"})
    op(s, "", "reshape", lambda x: x.reshape(4, -1), {"x": x}, {"shape": [4, -1]})
    op(s, "1..-1", "flatten", lambda x: x.flatten(1), {"x": x}, {"startDim": 1, "endDim": -1})
    op(s, "0..1", "flatten", lambda x: x.flatten(0, 1), {"x": x}, {"startDim": 0, "endDim": 1})
    op(s, "", "permute", lambda x: x.permute(2, 0, 1), {"x": x}, {"dims": [2, 0, 1]})
    op(s, "", "transpose", lambda x: x.transpose(0, -1), {"x": x}, {"dim0": 0, "dim1": -1})
    op(s, "", "expand", lambda x: x.expand(3, 2, 4), {"x": randn(gen, 2, 1)}, {"shape": [3, 2, 4]})
    op(s, "-1", "expand", lambda x: x.expand(5, -1, 3), {"x": randn(gen, 2, 1)}, {"shape": [5, -1, 3]})
    op(s, "all", "squeeze", lambda x: x.squeeze(), {"x": randn(gen, 1, 3, 1)}, {"dim": None})
    op(s, "dim", "squeeze", lambda x: x.squeeze(-1), {"x": randn(gen, 1, 3, 1)}, {"dim": -1})
    op(s, "", "unsqueeze", lambda x: x.unsqueeze(-2), {"x": x}, {"dim": -2})


def products(s):
    gen = rng("products")
    pairs = [("vectors", [5], [5]), ("matrix vector", [3, 5], [5]), ("vector matrix", [5], [5, 4]), ("matrices", [3, 5], [5, 4]), ("batched", [2, 3, 5], [2, 5, 4]), ("broadcast", [2, 1, 3, 5], [4, 5, 2]), ("batch vector", [2, 3, 5], [5]), ("odd", [17, 19], [19, 23]), ("one", [1, 1], [1, 1]), ("empty inner", [3, 0], [0, 2])]
    for label, a, b in pairs:
        op(s, label, "matmul", lambda x, other: torch.matmul(x, other), {"x": randn(gen, *a), "other": randn(gen, *b)})
    for label, shape, bias in (("2d", [3, 7], True), ("no bias", [3, 7], False), ("1d", [7], True), ("4d", [2, 2, 3, 7], True), ("odd", [13, 7], True)):
        inputs = {"x": randn(gen, *shape), "weight": randn(gen, 5, 7)}
        if bias:
            inputs["bias"] = randn(gen, 5)
        op(s, label, "linear", lambda x, weight, bias=None: F.linear(x, weight, bias), inputs)


def conv_attrs(stride, padding, dilation, groups, output_padding=None):
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if output_padding is not None:
        attrs["outputPadding"] = output_padding
    return attrs


def convolutions(s):
    gen = rng("conv")
    plain = [
        ("conv1d", "plain", [2, 3, 11], [4, 3, 3], 1, 0, 1, 1), ("conv1d", "strided", [2, 4, 12], [6, 2, 3], 2, 1, 1, 2), ("conv1d", "dilated", [1, 3, 13], [2, 3, 3], 1, 2, 2, 1), ("conv1d", "depthwise", [1, 4, 9], [4, 1, 5], 1, 2, 1, 4),
        ("conv2d", "plain", [2, 3, 7, 8], [4, 3, 3, 3], 1, 0, 1, 1), ("conv2d", "same", [1, 3, 6, 6], [5, 3, 3, 3], 1, 1, 1, 1), ("conv2d", "strided", [2, 4, 9, 7], [6, 2, 3, 3], 2, 1, 1, 2), ("conv2d", "dilated", [1, 2, 9, 9], [3, 2, 3, 3], 1, 2, 2, 1), ("conv2d", "depthwise", [1, 4, 6, 6], [4, 1, 3, 3], 1, 1, 1, 4), ("conv2d", "depth multiplier", [1, 3, 5, 5], [6, 1, 3, 3], 1, 1, 1, 3), ("conv2d", "pointwise", [2, 5, 4, 4], [7, 5, 1, 1], 1, 0, 1, 1), ("conv2d", "uneven", [1, 2, 8, 10], [3, 2, 3, 5], [2, 1], [1, 2], [1, 2], 1), ("conv2d", "wide kernel", [1, 1, 12, 12], [2, 1, 7, 7], 2, 3, 1, 1), ("conv2d", "one pixel", [1, 2, 1, 1], [3, 2, 1, 1], 1, 0, 1, 1),
        ("conv3d", "plain", [1, 2, 5, 6, 5], [3, 2, 3, 3, 3], 1, 0, 1, 1), ("conv3d", "strided", [1, 4, 6, 5, 6], [4, 2, 3, 2, 3], [2, 1, 2], [1, 0, 1], 1, 2), ("conv3d", "dilated", [1, 1, 6, 7, 6], [2, 1, 2, 2, 2], 1, 1, 2, 1),
    ]
    for name, label, xs, ws, stride, padding, dilation, groups in plain:
        fn = getattr(F, name)
        for bias in (True, False) if label in ("plain", "strided") else (True,):
            inputs = {"x": randn(gen, *xs), "weight": randn(gen, *ws)}
            if bias:
                inputs["bias"] = randn(gen, ws[0])
            op(s, label + ("" if bias else " no bias"), name, lambda x, weight, bias=None, f=fn, a=(stride, padding, dilation, groups): f(x, weight, bias, *a), inputs, conv_attrs(stride, padding, dilation, groups))
    transposed = [
        ("convTranspose1d", "plain", [2, 3, 7], [3, 4, 3], 1, 0, 0, 1, 1), ("convTranspose1d", "strided", [1, 4, 6], [4, 3, 4], 2, 1, 1, 2, 1), ("convTranspose1d", "dilated", [1, 2, 6], [2, 3, 3], 2, 2, 1, 1, 2),
        ("convTranspose2d", "plain", [2, 3, 5, 4], [3, 4, 3, 3], 1, 0, 0, 1, 1), ("convTranspose2d", "strided", [1, 4, 4, 5], [4, 3, 3, 3], 2, 1, 1, 2, 1), ("convTranspose2d", "dilated", [1, 2, 4, 4], [2, 3, 3, 3], [2, 1], [1, 0], [1, 0], 1, 2), ("convTranspose2d", "upsample", [1, 3, 4, 4], [3, 3, 2, 2], 2, 0, 0, 1, 1),
        ("convTranspose3d", "plain", [1, 2, 3, 3, 4], [2, 3, 2, 3, 2], 1, 0, 0, 1, 1), ("convTranspose3d", "strided", [1, 4, 3, 3, 3], [4, 2, 3, 3, 3], 2, 1, 1, 2, 1),
    ]
    for name, label, xs, ws, stride, padding, output_padding, groups, dilation in transposed:
        fn = {"convTranspose1d": F.conv_transpose1d, "convTranspose2d": F.conv_transpose2d, "convTranspose3d": F.conv_transpose3d}[name]
        inputs = {"x": randn(gen, *xs), "weight": randn(gen, *ws), "bias": randn(gen, ws[1] * groups)}
        op(s, label, name, lambda x, weight, bias, f=fn, a=(stride, padding, output_padding, groups, dilation): f(x, weight, bias, *a), inputs, conv_attrs(stride, padding, dilation, groups, output_padding))


def norms(s):
    gen = rng("norms")
    for label, shape in (("2d", [6, 3]), ("3d", [4, 3, 5]), ("4d", [2, 3, 4, 4]), ("5d", [2, 3, 2, 2, 3])):
        for training in (True, False):
            mean, var = randn(gen, 3), torch.rand(3, generator=gen) + 0.5
            new_mean, new_var = mean.clone(), var.clone()
            inputs = {"x": randn(gen, *shape), "weight": randn(gen, 3), "bias": randn(gen, 3)}
            op(s, f"{label} training {int(training)}", "batchNorm", lambda x, weight, bias, m=new_mean, v=new_var, t=training: F.batch_norm(x, m, v, weight, bias, t, 0.1, 1e-5), inputs, {"training": training, "momentum": 0.1, "eps": 1e-5})
            case = s.cases[-1]
            case["inputs"].update({"runningMean": encode(mean), "runningVar": encode(var)})
            case["expected"].update({"runningMean": encode(new_mean), "runningVar": encode(new_var)})
    for label, shape, normalized in (("last", [3, 4, 5], [5]), ("two", [3, 4, 5], [4, 5])):
        op(s, label, "layerNorm", lambda x, weight, bias, n=normalized: F.layer_norm(x, n, weight, bias, 1e-5), {"x": randn(gen, *shape), "weight": randn(gen, *normalized), "bias": randn(gen, *normalized)}, {"normalizedShape": normalized, "eps": 1e-5})
    op(s, "plain", "layerNorm", lambda x: F.layer_norm(x, [5], None, None, 1e-3), {"x": randn(gen, 2, 5)}, {"normalizedShape": [5], "eps": 1e-3})
    for groups in (1, 2, 4):
        op(s, f"{groups}", "groupNorm", lambda x, weight, bias, g=groups: F.group_norm(x, g, weight, bias, 1e-5), {"x": randn(gen, 2, 4, 3, 3), "weight": randn(gen, 4), "bias": randn(gen, 4)}, {"numGroups": groups, "eps": 1e-5})
    for label, shape in (("1d", [2, 3, 6]), ("2d", [2, 3, 4, 5]), ("3d", [1, 3, 2, 3, 4])):
        op(s, label, "instanceNorm", lambda x, weight, bias: F.instance_norm(x, None, None, weight, bias, True, 0.1, 1e-5), {"x": randn(gen, *shape), "weight": randn(gen, 3), "bias": randn(gen, 3)}, {"eps": 1e-5})


def pools(s):
    gen = rng("pools")
    maxes = [
        ("maxPool1d", "plain", [2, 3, 9], 2, None, 0, 1, False), ("maxPool1d", "ceil", [1, 2, 10], 3, 2, 1, 1, True), ("maxPool2d", "plain", [2, 3, 6, 8], 2, None, 0, 1, False), ("maxPool2d", "overlap", [1, 3, 7, 7], 3, 2, 1, 1, False), ("maxPool2d", "ceil", [1, 2, 6, 7], 3, 2, 0, 1, True), ("maxPool2d", "dilated", [1, 2, 8, 8], 2, 1, 1, 2, False), ("maxPool2d", "uneven", [1, 2, 8, 7], [3, 2], [2, 1], [1, 0], 1, False), ("maxPool3d", "plain", [1, 2, 4, 5, 6], 2, None, 0, 1, False), ("maxPool3d", "ceil", [1, 1, 5, 5, 5], 3, 2, 1, 1, True),
    ]
    for name, label, shape, kernel, stride, padding, dilation, ceil in maxes:
        fn = {"maxPool1d": F.max_pool1d, "maxPool2d": F.max_pool2d, "maxPool3d": F.max_pool3d}[name]
        op(s, label, name, lambda x, f=fn, a=(kernel, stride, padding, dilation, ceil): f(x, *a), {"x": randn(gen, *shape)}, {"kernelSize": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceilMode": ceil})
    op(s, "ties", "maxPool2d", lambda x: F.max_pool2d(x, 2, 1), {"x": torch.ones(1, 1, 3, 3)}, {"kernelSize": 2, "stride": 1, "padding": 0, "dilation": 1, "ceilMode": False})
    op(s, "nan", "maxPool2d", lambda x: F.max_pool2d(x, 2, 2), {"x": torch.tensor([[[[1.0, NAN], [0.0, 2.0]]]])}, {"kernelSize": 2, "stride": 2, "padding": 0, "dilation": 1, "ceilMode": False}, gradient=False)
    averages = [
        ("avgPool1d", "plain", [2, 3, 9], 2, None, 0, False, True, None), ("avgPool1d", "ceil", [1, 2, 10], 3, 2, 1, True, True, None), ("avgPool2d", "plain", [2, 3, 6, 8], 2, None, 0, False, True, None), ("avgPool2d", "padded", [1, 3, 7, 7], 3, 2, 1, False, True, None), ("avgPool2d", "without pad", [1, 3, 7, 7], 3, 2, 1, False, False, None), ("avgPool2d", "ceil", [1, 2, 6, 7], 3, 2, 1, True, True, None), ("avgPool2d", "ceil without pad", [1, 2, 6, 7], 3, 2, 1, True, False, None), ("avgPool2d", "divisor", [1, 2, 6, 6], 3, 2, 0, False, True, 4), ("avgPool2d", "uneven", [1, 2, 8, 7], [3, 2], [2, 1], [1, 0], False, True, None), ("avgPool3d", "plain", [1, 2, 4, 5, 6], 2, None, 0, False, True, None), ("avgPool3d", "ceil", [1, 1, 5, 5, 5], 3, 2, 1, True, False, None),
    ]
    for name, label, shape, kernel, stride, padding, ceil, include, divisor in averages:
        fn = {"avgPool1d": F.avg_pool1d, "avgPool2d": F.avg_pool2d, "avgPool3d": F.avg_pool3d}[name]
        extra = () if name == "avgPool1d" else (divisor,)
        attrs = {"kernelSize": kernel, "stride": stride, "padding": padding, "ceilMode": ceil, "countIncludePad": include}
        if divisor:
            attrs["divisorOverride"] = divisor
        op(s, label, name, lambda x, f=fn, a=(kernel, stride, padding, ceil, include), e=extra: f(x, *a, *e), {"x": randn(gen, *shape)}, attrs)
    adaptive = [
        ("adaptiveAvgPool1d", F.adaptive_avg_pool1d, [2, 3, 7], 3), ("adaptiveAvgPool2d", F.adaptive_avg_pool2d, [2, 3, 5, 7], [3, 2]), ("adaptiveAvgPool2d", F.adaptive_avg_pool2d, [1, 2, 4, 4], 1), ("adaptiveAvgPool2d", F.adaptive_avg_pool2d, [1, 2, 3, 3], 5), ("adaptiveAvgPool3d", F.adaptive_avg_pool3d, [1, 2, 4, 5, 3], [2, 3, 2]),
        ("adaptiveMaxPool1d", F.adaptive_max_pool1d, [2, 3, 7], 3), ("adaptiveMaxPool2d", F.adaptive_max_pool2d, [2, 3, 5, 7], [3, 2]), ("adaptiveMaxPool3d", F.adaptive_max_pool3d, [1, 2, 4, 5, 3], [2, 3, 2]),
    ]
    for name, fn, shape, size in adaptive:
        op(s, f"{shape} to {size}", name, lambda x, f=fn, o=size: f(x, o), {"x": randn(gen, *shape)}, {"outputSize": size})


def resizing(s):
    gen = rng("interpolate")
    grid = []
    for mode, shape, dims in (("nearest", [1, 2, 5, 4], 2), ("nearest-exact", [1, 2, 5, 4], 2), ("bilinear", [1, 2, 5, 4], 2), ("bicubic", [1, 2, 5, 4], 2), ("area", [1, 2, 6, 4], 2), ("nearest", [1, 2, 5], 1), ("linear", [1, 2, 5], 1), ("nearest", [1, 1, 3, 4, 3], 3), ("trilinear", [1, 1, 3, 4, 3], 3)):
        corners = (None, True) if mode in ("linear", "bilinear", "bicubic", "trilinear") else (None,)
        for align in corners:
            grid.append((mode, shape, {"size": [7, 9, 5][:dims]}, align))
            grid.append((mode, shape, {"size": [3, 2, 2][:dims]}, align))
            if mode != "area":
                grid.append((mode, shape, {"scaleFactor": 2}, align))
                grid.append((mode, shape, {"scaleFactor": 1.5}, align))
                grid.append((mode, shape, {"scaleFactor": 0.6}, align))
    for mode, shape, how, align in grid:
        kw = {"size": how.get("size"), "scale_factor": how.get("scaleFactor"), "mode": mode, "align_corners": align}
        label = f"{mode} {len(shape) - 2}d {how}{'' if align is None else ' corners'}"
        op(s, label, "interpolate", lambda x, k=kw: F.interpolate(x, **k), {"x": randn(gen, *shape)}, {**how, "mode": mode, "alignCorners": align})


def lookups(s):
    gen = rng("lookups")
    weight = randn(gen, 6, 4)
    index = torch.tensor([[0, 2, 5], [2, 2, 1]])
    op(s, "", "embedding", lambda indices, weight: F.embedding(indices, weight), {"indices": index, "weight": weight}, {})
    op(s, "padding", "embedding", lambda indices, weight: F.embedding(indices, weight, padding_idx=2), {"indices": index, "weight": weight}, {"paddingIdx": 2})
    flat, offsets = torch.tensor([0, 2, 5, 2, 2, 1, 3]), torch.tensor([0, 3, 3, 5])
    for mode in ("sum", "mean", "max"):
        op(s, f"{mode}", "embeddingBag", lambda indices, weight, offsets, m=mode: F.embedding_bag(indices, weight, offsets, mode=m), {"indices": flat, "weight": weight, "offsets": offsets}, {"mode": mode})
        op(s, f"{mode} 2d", "embeddingBag", lambda indices, weight, m=mode: F.embedding_bag(indices, weight, mode=m), {"indices": index, "weight": weight}, {"mode": mode})
    op(s, "weighted", "embeddingBag", lambda indices, weight, offsets, perSampleWeights: F.embedding_bag(indices, weight, offsets, mode="sum", per_sample_weights=perSampleWeights), {"indices": flat, "weight": weight, "offsets": offsets, "perSampleWeights": randn(gen, 7)}, {"mode": "sum"})
    op(s, "last offset", "embeddingBag", lambda indices, weight, offsets: F.embedding_bag(indices, weight, offsets, mode="mean", include_last_offset=True), {"indices": flat, "weight": weight, "offsets": torch.tensor([0, 3, 7])}, {"mode": "mean", "includeLastOffset": True})


def attention(s):
    gen = rng("attention")
    q, k, v = randn(gen, 2, 2, 3, 4), randn(gen, 2, 2, 5, 4), randn(gen, 2, 2, 5, 6)
    A = F.scaled_dot_product_attention
    op(s, "plain", "scaledDotProductAttention", lambda query, key, value: A(query, key, value), {"query": q, "key": k, "value": v})
    mask = torch.rand(3, 5, generator=gen) > 0.3
    mask[:, 0] = True
    op(s, "boolean mask", "scaledDotProductAttention", lambda query, key, value, attnMask: A(query, key, value, attn_mask=attnMask), {"query": q, "key": k, "value": v, "attnMask": mask})
    op(s, "float mask", "scaledDotProductAttention", lambda query, key, value, attnMask: A(query, key, value, attn_mask=attnMask), {"query": q, "key": k, "value": v, "attnMask": randn(gen, 2, 1, 3, 5)})
    op(s, "causal", "scaledDotProductAttention", lambda query, key, value: A(query, key, value, is_causal=True), {"query": q, "key": k, "value": v}, {"isCausal": True})
    op(s, "scale", "scaledDotProductAttention", lambda query, key, value: A(query, key, value, scale=0.3), {"query": q, "key": k, "value": v}, {"scale": 0.3})
    op(s, "3d", "scaledDotProductAttention", lambda query, key, value: A(query, key, value), {"query": q[0], "key": k[0], "value": v[0]})


def main():
    s = Suite("float-pointwise", "float_ops.py")
    pointwise(s)
    s.write()
    s = Suite("float-tensors", "float_ops.py")
    for make in (reductions, shapes, products, lookups, attention):
        make(s)
    s.write()
    s = Suite("float-layers", "float_ops.py")
    for make in (convolutions, norms, pools, resizing):
        make(s)
    s.write()


if __name__ == "__main__":
    main()
