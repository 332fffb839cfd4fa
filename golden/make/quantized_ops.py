"""Quantized operators: integer inputs, integer outputs. parity.md 1.6.

The strict file is made with the fbgemm engine, whose rounding is the same on every x86 machine (the
x86 engine hands symmetric weights to oneDNN when the processor has VNNI). A short list of cases is made
again by the other engines, in files of their own; those may differ from fewbit by one step.
Output scales are chosen so that the result fills the range and clips a little at both ends.
"""
import torch
import torch.nn.functional as F

from common import Suite, randn, rng

Q = torch.ops.quantized
RANGE = {torch.quint8: (0, 255), torch.qint8: (-128, 127)}


def randq(gen, shape, dtype=torch.quint8, scale=0.05, zero_point=None, low=None, high=None):
    """A tensor of uniformly random integers."""
    lo, hi = RANGE[dtype]
    ints = torch.randint(lo if low is None else low, (hi if high is None else high) + 1, shape, generator=gen)
    zp = (lo + hi + 1) // 2 if zero_point is None else zero_point
    plain = ints.to(torch.uint8 if dtype == torch.quint8 else torch.int8)
    return torch._make_per_tensor_quantized_tensor(plain, scale, zp)


def randw(gen, shape, per_channel=True, zero_point=0, axis=0):
    """A qint8 weight; per channel along `axis`."""
    w = randn(gen, *shape, scale=0.3)
    if per_channel:
        n = shape[axis]
        scales = (torch.rand(n, generator=gen, dtype=torch.float64) * 0.008 + 0.002).float().double()
        return torch.quantize_per_channel(w, scales, torch.zeros(n, dtype=torch.int64), axis, torch.qint8)
    return torch.quantize_per_tensor(w, 0.0071, zero_point, torch.qint8)


def fit(y, dtype=torch.quint8, keep=0.9):
    """Output qparams that clip a little of y."""
    lo, hi = RANGE[dtype]
    top, bottom = float(y.max()), min(float(y.min()), 0.0)
    scale = max((top - bottom) * keep / (hi - lo), 1e-4)
    zp = max(lo, min(hi, round(lo - bottom * keep / scale)))
    return scale, zp


def weighted(s, label, name, pack, run, dense, x, w, bias, attrs, pack_args=(), relus=(False, True)):
    """A linear or convolution, plain and fused with relu."""
    y = dense(x.dequantize(), w.dequantize(), bias)
    scale, zp = fit(y) if y.numel() else (0.1, 3)
    for relu in relus:
        op = f"{name}Relu" if relu else name
        packed = pack(w, bias, *pack_args)  # anew: oneDNN caches the first call's relu in the packed weight
        out = run(relu)(x, packed, scale, zp)
        s.case(f"{op} {label}", f"quantized.{op}", {"x": x, "weight": w, "bias": bias}, {**attrs, "scale": scale, "zeroPoint": zp}, {"output": out})


def linears(s, short=False):
    gen = rng("qlinear")
    grid = [
        ("per tensor", [5, 33], 7, False, 128, 0, True), ("per channel", [5, 33], 7, True, 128, 0, True), ("no bias", [3, 16], 9, True, 100, 0, False), ("zero point 0", [4, 19], 5, True, 0, 0, True), ("zero point 255", [4, 19], 5, True, 255, 0, True), ("weight zero point", [4, 19], 5, False, 77, 11, True), ("weight zero point -128", [2, 8], 3, False, 10, -128, True), ("one", [1, 1], 1, False, 3, 0, True), ("3d", [2, 3, 8], 6, True, 128, 0, True), ("large", [9, 130], 17, True, 128, 0, True), ("no rows", [0, 5], 3, True, 128, 0, True), ("wide", [2, 700], 3, False, 120, 0, True),
    ]
    for label, shape, n, per_channel, zp, wzp, has_bias in grid[: 4 if short else None]:
        x = randq(gen, shape, zero_point=zp)
        w = randw(gen, [n, shape[-1]], per_channel, wzp)
        bias = randn(gen, n) if has_bias else None
        weighted(s, label, "linear", Q.linear_prepack, lambda relu: Q.linear_relu if relu else Q.linear, F.linear, x, w, bias, {})


CONVS = [
    ("conv1d", "plain", [2, 3, 11], [4, 3, 3], [1], [0], [1], 1), ("conv1d", "strided", [2, 4, 12], [6, 2, 3], [2], [1], [1], 2), ("conv1d", "dilated", [1, 3, 13], [2, 3, 3], [1], [2], [2], 1),
    ("conv2d", "plain", [2, 3, 7, 8], [4, 3, 3, 3], [1, 1], [0, 0], [1, 1], 1), ("conv2d", "same", [1, 3, 6, 6], [5, 3, 3, 3], [1, 1], [1, 1], [1, 1], 1), ("conv2d", "strided groups", [2, 4, 9, 7], [6, 2, 3, 3], [2, 2], [1, 1], [1, 1], 2), ("conv2d", "dilated", [1, 2, 9, 9], [3, 2, 3, 3], [1, 1], [2, 2], [2, 2], 1), ("conv2d", "depthwise", [1, 8, 6, 6], [8, 1, 3, 3], [1, 1], [1, 1], [1, 1], 8), ("conv2d", "depthwise strided", [2, 16, 7, 7], [16, 1, 3, 3], [2, 2], [1, 1], [1, 1], 16), ("conv2d", "depthwise 5x5", [1, 8, 8, 8], [8, 1, 5, 5], [1, 1], [2, 2], [1, 1], 8), ("conv2d", "pointwise", [2, 5, 4, 4], [7, 5, 1, 1], [1, 1], [0, 0], [1, 1], 1), ("conv2d", "uneven", [1, 2, 8, 10], [3, 2, 3, 5], [2, 1], [1, 2], [1, 2], 1), ("conv2d", "wide kernel", [1, 3, 12, 12], [2, 3, 7, 7], [2, 2], [3, 3], [1, 1], 1), ("conv2d", "one pixel", [1, 2, 1, 1], [3, 2, 1, 1], [1, 1], [0, 0], [1, 1], 1), ("conv2d", "many channels", [1, 40, 4, 4], [24, 40, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ("conv3d", "plain", [1, 2, 5, 6, 5], [3, 2, 3, 3, 3], [1] * 3, [0] * 3, [1] * 3, 1), ("conv3d", "strided groups", [1, 4, 6, 5, 6], [4, 2, 3, 2, 3], [2, 1, 2], [1, 0, 1], [1] * 3, 2),
]


def convolutions(s, short=False):
    chosen = [c for c in CONVS if not short or c[1] in ("plain", "depthwise", "strided groups")]
    for name, label, xs, ws, stride, padding, dilation, groups in chosen:
        pack, plain, relu_op = (getattr(Q, f"{name}_prepack"), getattr(Q, name), getattr(Q, f"{name}_relu"))
        dense = getattr(F, name)
        variants = [("per channel", True, 0, 121, True), ("per tensor", False, 0, 0, True), ("zero points", False, 9, 255, False)]
        for how, per_channel, wzp, zp, has_bias in variants[: 1 if short else None]:
            if name == "conv1d" and how == "per channel" and label == "dilated":
                continue
            gen = rng(f"{name} {label} {how}")
            # fbgemm's depthwise kernels saturate pair sums at 16 bits: the reason for reduce_range, kept here
            x = randq(gen, xs, zero_point=min(zp, 127), high=127) if "depthwise" in label else randq(gen, xs, zero_point=zp)
            w = randw(gen, ws, per_channel, wzp)
            bias = randn(gen, ws[0]) if has_bias else None
            attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            weighted(s, f"{label} {how}", name, pack, lambda relu, p=plain, r=relu_op: r if relu else p, lambda a, b, c, d=dense, t=(stride, padding, dilation, groups): d(a, b, c, *t), x, w, bias, attrs, (stride, padding, dilation, groups), (False, True) if how != "zero points" else (False,))


def transposed(s):
    gen = rng("qconvt")
    grid = [
        ("convTranspose1d", "plain", [2, 3, 7], [3, 4, 3], [1], [0], [0], 1, [1]), ("convTranspose1d", "strided", [1, 4, 6], [4, 3, 4], [2], [1], [1], 2, [1]),
        ("convTranspose2d", "plain", [2, 3, 5, 4], [3, 4, 3, 3], [1, 1], [0, 0], [0, 0], 1, [1, 1]), ("convTranspose2d", "strided groups", [1, 4, 4, 5], [4, 3, 3, 3], [2, 2], [1, 1], [1, 1], 2, [1, 1]), ("convTranspose2d", "dilated", [1, 2, 4, 4], [2, 3, 3, 3], [2, 1], [1, 0], [1, 0], 1, [1, 2]), ("convTranspose2d", "upsample", [1, 3, 4, 4], [3, 3, 2, 2], [2, 2], [0, 0], [0, 0], 1, [1, 1]),
        ("convTranspose3d", "plain", [1, 2, 3, 3, 4], [2, 3, 2, 3, 2], [1] * 3, [0] * 3, [0] * 3, 1, [1] * 3), ("convTranspose3d", "strided", [1, 4, 3, 3, 3], [4, 2, 3, 3, 3], [2] * 3, [1] * 3, [1] * 3, 1, [1] * 3),
    ]
    for name, label, xs, ws, stride, padding, opad, groups, dilation in grid:
        snake = name.replace("convTranspose", "conv_transpose")
        pack, run, dense = getattr(Q, f"{snake}_prepack"), getattr(Q, snake), getattr(F, snake)
        for how, wzp, zp, has_bias in (("symmetric", 0, 121, True), ("zero points", 9, 250, False)):
            x, w = randq(gen, xs, zero_point=zp), randw(gen, ws, False, wzp)
            bias = randn(gen, ws[1] * groups) if has_bias else None
            attrs = {"stride": stride, "padding": padding, "outputPadding": opad, "dilation": dilation, "groups": groups}
            weighted(s, f"{label} {how}", name, pack, lambda relu, r=run: r, lambda a, b, c, d=dense, t=(stride, padding, opad, groups, dilation): d(a, b, c, *t), x, w, bias, attrs, (stride, padding, opad, dilation, groups), (False,))


def dynamic(s, short=False):
    gen = rng("qdynamic")
    grid = [("per tensor", [5, 33], 7, False, 0, True), ("per channel", [5, 33], 7, True, 0, True), ("no bias", [3, 16], 9, True, 0, False), ("weight zero point", [4, 19], 5, False, 11, True), ("3d", [2, 3, 8], 6, True, 0, True), ("positive", [2, 8], 6, True, 0, True), ("zeros", [2, 8], 3, True, 0, True), ("large", [4, 300], 11, True, 0, True)]
    for label, shape, n, per_channel, wzp, has_bias in grid[: 3 if short else None]:
        x = randn(gen, *shape, scale=2.0, shift=0.3)
        x = x.abs() + 0.2 if label == "positive" else torch.zeros(shape) if label == "zeros" else x
        w, bias = randw(gen, [n, shape[-1]], per_channel, wzp), randn(gen, n) if has_bias else None
        for reduce_range in (True, False):
            for relu in (False, True):
                packed = Q.linear_prepack(w, bias)
                name = "linearReluDynamic" if relu else "linearDynamic"
                out = (Q.linear_relu_dynamic if relu else Q.linear_dynamic)(x, packed, reduce_range)
                s.case(f"{name} {label} reduce={int(reduce_range)}", f"quantized.{name}", {"x": x, "weight": w, "bias": bias}, {"reduceRange": reduce_range}, {"output": out})
    if short:
        return
    for label, shape, n in (("2d", [3, 17], 5), ("3d", [2, 2, 8], 4)):
        x, w, bias = randn(gen, *shape), randn(gen, n, shape[-1]), randn(gen, n)
        for relu in (False, True):
            packed = Q.linear_prepack_fp16(w, bias)
            name = "linearReluDynamicFp16" if relu else "linearDynamicFp16"
            out = (Q.linear_relu_dynamic_fp16 if relu else Q.linear_dynamic_fp16)(x, packed)
            s.case(f"{name} {label}", f"quantized.{name}", {"x": x, "weight": w, "bias": bias}, {}, {"output": out})


def binaries(s):
    gen = rng("qbinary")
    grid = [("plain", [3, 7], 0.05, 128, 0.03, 100), ("extreme", [4, 33], 0.1, 0, 0.07, 255), ("equal", [2, 3, 4, 5], 0.02, 5, 0.02, 5), ("far", [65], 0.5, 200, 0.001, 30), ("one", [1], 0.3, 9, 0.2, 40)]
    for dtype in (torch.quint8, torch.qint8):
        shift = 128 if dtype == torch.qint8 else 0
        for label, shape, sa, za, sb, zb in grid:
            a, b = randq(gen, shape, dtype, sa, za - shift), randq(gen, shape, dtype, sb, zb - shift)
            for name, dense in (("add", torch.add), ("mul", torch.mul)):
                scale, zp = fit(dense(a.dequantize(), b.dequantize()), dtype)
                for relu in (False, True):
                    out = getattr(Q, name + ("_relu" if relu else ""))(a, b, scale, zp)
                    op = name + ("Relu" if relu else "")
                    s.case(f"{op} {str(dtype)[6:]} {label}", f"quantized.{op}", {"x": a, "other": b}, {"scale": scale, "zeroPoint": zp}, {"output": out})
    a = randq(gen, [2, 3, 4], zero_point=99)
    b = randq(gen, [1, 3, 1], zero_point=60)
    for name in ("add", "mul"):
        out = getattr(Q, name)(a, b, 0.11, 77)
        s.case(f"{name} broadcast", f"quantized.{name}", {"x": a, "other": b}, {"scale": 0.11, "zeroPoint": 77}, {"output": out})


def scalars(s):
    gen = rng("qscalar")
    for dtype in (torch.quint8, torch.qint8):
        shift = 128 if dtype == torch.qint8 else 0
        for c in (0.0, 0.5, 1.0, -0.75, 3.3, -6.0, 20.0, -20.0, 0.025, 1e-6):
            for name, op in (("addScalar", Q.add_scalar), ("mulScalar", Q.mul_scalar), ("addScalarRelu", Q.add_scalar_relu), ("mulScalarRelu", Q.mul_scalar_relu)):
                x = randq(gen, [5, 7], dtype, 0.05, 120 - shift)
                s.case(f"{name} {str(dtype)[6:]} {c}", f"quantized.{name}", {"x": x}, {"scalar": c}, {"output": op(x, c)})


def joins(s):
    gen = rng("qjoin")
    for dtype in (torch.quint8, torch.qint8):
        shift = 128 if dtype == torch.qint8 else 0
        parts = [randq(gen, [2, n, 3], dtype, 0.05 * (n + 1), 60 * n - shift) for n in (1, 2, 3)]
        for dim in (1,):
            out = Q.cat(parts, dim, 0.17, 90 - shift)
            s.case(f"cat {str(dtype)[6:]}", "quantized.cat", {"tensors": parts}, {"dim": dim, "scale": 0.17, "zeroPoint": 90 - shift}, {"output": out})
        same = [randq(gen, [2, 3], dtype, 0.05, 7) for _ in range(2)]
        s.case(f"cat {str(dtype)[6:]} same qparams", "quantized.cat", {"tensors": same}, {"dim": -1, "scale": 0.05, "zeroPoint": 7}, {"output": Q.cat(same, -1, 0.05, 7)})
        s.case(f"catRelu {str(dtype)[6:]}", "quantized.catRelu", {"tensors": parts}, {"dim": 1, "scale": 0.17, "zeroPoint": 90 - shift}, {"output": Q.cat_relu(parts, 1, 0.17, 90 - shift)})
    for label, a, b in (("2d", [3, 5], [5, 4]), ("batched", [2, 3, 5], [2, 5, 4]), ("4d", [2, 2, 3, 5], [2, 2, 5, 3]), ("odd", [7, 33], [33, 9])):
        x, y = randq(gen, a, zero_point=100), randq(gen, b, scale=0.02, zero_point=140)
        scale, zp = fit(torch.matmul(x.dequantize(), y.dequantize()))
        s.case(f"matmul {label}", "quantized.matmul", {"x": x, "other": y}, {"scale": scale, "zeroPoint": zp}, {"output": Q.matmul(x, y, scale, zp)})


def pools(s):
    gen = rng("qpool")
    for dtype in (torch.quint8, torch.qint8):
        shift = 128 if dtype == torch.qint8 else 0
        tag = str(dtype)[6:]
        for label, shape, kernel, stride, padding, dilation, ceil in (("plain", [2, 3, 6, 8], 2, 2, 0, 1, False), ("overlap", [1, 3, 7, 7], 3, 2, 1, 1, False), ("ceil", [1, 2, 6, 7], 3, 2, 0, 1, True), ("dilated", [1, 17, 8, 8], 2, 1, 1, 2, False)):
            x = randq(gen, shape, dtype, 0.1, 30 - shift)
            attrs = {"kernelSize": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceilMode": ceil}
            s.case(f"maxPool2d {tag} {label}", "quantized.maxPool2d", {"x": x}, attrs, {"output": F.max_pool2d(x, kernel, stride, padding, dilation, ceil)})
        x = randq(gen, [2, 3, 9], dtype, 0.1, 30 - shift)
        s.case(f"maxPool1d {tag}", "quantized.maxPool1d", {"x": x}, {"kernelSize": 3, "stride": 2, "padding": 1, "dilation": 1, "ceilMode": False}, {"output": F.max_pool1d(x, 3, 2, 1)})
        for label, shape, kernel, stride, padding, ceil, include, divisor in (("plain", [2, 3, 6, 8], 2, 2, 0, False, True, None), ("padded", [1, 3, 7, 7], 3, 2, 1, False, True, None), ("without pad", [1, 3, 7, 7], 3, 2, 1, False, False, None), ("ceil", [1, 2, 6, 7], 3, 2, 1, True, True, None), ("divisor", [1, 2, 6, 6], 3, 2, 0, False, True, 4), ("channels", [1, 35, 5, 5], 3, 1, 1, False, True, None)):
            x = randq(gen, shape, dtype, 0.1, 100 - shift)
            attrs = {"kernelSize": kernel, "stride": stride, "padding": padding, "ceilMode": ceil, "countIncludePad": include}
            if divisor:
                attrs["divisorOverride"] = divisor
            s.case(f"avgPool2d {tag} {label}", "quantized.avgPool2d", {"x": x}, attrs, {"output": F.avg_pool2d(x, kernel, stride, padding, ceil, include, divisor)})
        x = randq(gen, [1, 3, 4, 5, 6], dtype, 0.1, 100 - shift)
        s.case(f"avgPool3d {tag}", "quantized.avgPool3d", {"x": x}, {"kernelSize": 2, "stride": 2, "padding": 1, "ceilMode": False, "countIncludePad": True}, {"output": F.avg_pool3d(x, 2, 2, 1)})
        x = randq(gen, [2, 3, 9], dtype, 0.1, 100 - shift)
        s.case(f"avgPool1d {tag}", "quantized.avgPool1d", {"x": x}, {"kernelSize": 3, "stride": 2, "padding": 1, "ceilMode": False, "countIncludePad": True}, {"output": F.avg_pool1d(x, 3, 2, 1)})
        for shape, size in (([2, 3, 5, 7], [3, 2]), ([1, 35, 8, 8], [1, 1]), ([1, 2, 3, 3], [5, 5])):
            x = randq(gen, shape, dtype, 0.1, 100 - shift)
            s.case(f"adaptiveAvgPool2d {tag} {size}", "quantized.adaptiveAvgPool2d", {"x": x}, {"outputSize": size}, {"output": F.adaptive_avg_pool2d(x, size)})
        x = randq(gen, [1, 3, 4, 5, 6], dtype, 0.1, 100 - shift)
        s.case(f"adaptiveAvgPool3d {tag}", "quantized.adaptiveAvgPool3d", {"x": x}, {"outputSize": [2, 3, 2]}, {"output": F.adaptive_avg_pool3d(x, [2, 3, 2])})
        for shape in ([1, 40, 3, 2, 2], [2, 17, 2, 5, 3]):  # to a single value, where PyTorch takes the mean instead
            x = randq(gen, shape, dtype, 0.1, 100 - shift)
            s.case(f"adaptiveAvgPool3d {tag} {shape} to one", "quantized.adaptiveAvgPool3d", {"x": x}, {"outputSize": [1, 1, 1]}, {"output": F.adaptive_avg_pool3d(x, 1)})
            s.case(f"adaptiveAvgPool2d {tag} {shape} to one", "quantized.adaptiveAvgPool2d", {"x": x.flatten(3)}, {"outputSize": [1, 1]}, {"output": F.adaptive_avg_pool2d(x.flatten(3), 1)})
        for label, dim, keep in (("2,3", [2, 3], False), ("2,3 keep", [2, 3], True), ("1", [1], False), ("-1", [-1], False)):
            x = randq(gen, [2, 3, 5, 4], dtype, 0.1, 100 - shift)
            s.case(f"mean {tag} {label}", "quantized.mean", {"x": x}, {"dim": dim, "keepdim": keep}, {"output": torch.mean(x, dim, keepdim=keep)})
        # sums of real numbers: their order decides the many ties
        for dim, shape in (([0], [6, 3, 5, 4]), ([1], [2, 20, 4, 9]), ([2], [1, 2, 70, 3]), ([0, 2], [4, 3, 5, 10]), ([0, 1], [2, 4, 3, 3]), ([0, 3], [2, 3, 4, 26]), ([0, 2, 3], [4, 3, 5, 6]), ([1, 2], [2, 3, 4, 37])):
            x = randq(gen, shape, dtype, 0.3, 3 - shift)
            s.case(f"mean {tag} {dim} of {shape}", "quantized.mean", {"x": x}, {"dim": dim, "keepdim": False}, {"output": torch.mean(x, dim)})
        for label, kw in (("nearest", dict(scale_factor=2, mode="nearest")), ("nearest size", dict(size=[7, 5], mode="nearest")), ("bilinear", dict(scale_factor=2, mode="bilinear", align_corners=False)), ("bilinear corners", dict(size=[7, 9], mode="bilinear", align_corners=True)), ("bilinear down", dict(size=[3, 2], mode="bilinear", align_corners=False))):
            x = randq(gen, [1, 3, 5, 4], dtype, 0.1, 100 - shift)
            attrs = {{"scale_factor": "scaleFactor", "align_corners": "alignCorners"}.get(k, k): v for k, v in kw.items()}
            s.case(f"interpolate {tag} {label}", "quantized.interpolate", {"x": x}, attrs, {"output": F.interpolate(x, **kw)})
        x = randq(gen, [1, 2, 3, 4, 3], dtype, 0.1, 100 - shift)
        s.case(f"interpolate {tag} nearest 3d", "quantized.interpolate", {"x": x}, {"scaleFactor": 2, "mode": "nearest"}, {"output": F.interpolate(x, scale_factor=2, mode="nearest")})


def norms(s):
    gen = rng("qnorm")
    for dtype in (torch.quint8, torch.qint8):
        shift = 128 if dtype == torch.qint8 else 0
        tag = str(dtype)[6:]
        for label, shape, names in (("2d", [2, 5, 4, 3], ("batch_norm2d", "batch_norm2d_relu")), ("3d", [1, 4, 3, 2, 3], ("batch_norm3d", "batch_norm3d_relu")), ("wide", [1, 37, 3, 3], ("batch_norm2d", "batch_norm2d_relu"))):
            c = shape[1]
            x = randq(gen, shape, dtype, 0.06, 110 - shift)
            w, b, mean, var = randn(gen, c), randn(gen, c), randn(gen, c), torch.rand(c, generator=gen) + 0.2
            dense = F.batch_norm(x.dequantize(), mean, var, w, b, False, 0.1, 1e-5)
            scale, zp = fit(dense, dtype)
            for name in names:
                op = name.replace("batch_norm", "batchNorm").replace("_relu", "Relu")
                out = getattr(Q, name)(x, w, b, mean, var, 1e-5, scale, zp)
                s.case(f"{op} {tag} {label}", f"quantized.{op}", {"x": x, "weight": w, "bias": b, "runningMean": mean, "runningVar": var}, {"eps": 1e-5, "scale": scale, "zeroPoint": zp}, {"output": out})
        for label, shape, normalized in (("last", [3, 4, 5], [5]), ("two", [2, 4, 33], [4, 33]), ("constant", [2, 3, 8], [8])):
            x = randq(gen, shape, dtype, 0.06, 110 - shift)
            if label == "constant":
                x = randq(gen, shape, dtype, 0.06, 110 - shift, low=50, high=50)
            w, b = randn(gen, *normalized), randn(gen, *normalized)
            scale, zp = fit(F.layer_norm(x.dequantize(), normalized, w, b), dtype)
            s.case(f"layerNorm {tag} {label}", "quantized.layerNorm", {"x": x, "weight": w, "bias": b}, {"normalizedShape": normalized, "eps": 1e-5, "scale": scale, "zeroPoint": zp}, {"output": Q.layer_norm(x, normalized, w, b, 1e-5, scale, zp)})
        for groups in (1, 2, 4):
            x = randq(gen, [2, 4, 3, 5], dtype, 0.06, 110 - shift)
            w, b = randn(gen, 4), randn(gen, 4)
            scale, zp = fit(F.group_norm(x.dequantize(), groups, w, b), dtype)
            s.case(f"groupNorm {tag} {groups}", "quantized.groupNorm", {"x": x, "weight": w, "bias": b}, {"numGroups": groups, "eps": 1e-5, "scale": scale, "zeroPoint": zp}, {"output": Q.group_norm(x, groups, w, b, 1e-5, scale, zp)})
        for label, shape in (("1d", [2, 3, 7]), ("2d", [2, 3, 4, 5]), ("3d", [1, 3, 2, 3, 4])):
            x = randq(gen, shape, dtype, 0.06, 110 - shift)
            w, b = randn(gen, 3), randn(gen, 3)
            scale, zp = fit(F.instance_norm(x.dequantize(), None, None, w, b), dtype)
            s.case(f"instanceNorm {tag} {label}", "quantized.instanceNorm", {"x": x, "weight": w, "bias": b}, {"eps": 1e-5, "scale": scale, "zeroPoint": zp}, {"output": Q.instance_norm(x, w, b, 1e-5, scale, zp)})


def every_value(dtype, scale, zero_point):
    """All 256 integers once: an elementwise operator is then known completely."""
    lo, hi = RANGE[dtype]
    ints = torch.arange(lo, hi + 1).to(torch.uint8 if dtype == torch.quint8 else torch.int8)
    return torch._make_per_tensor_quantized_tensor(ints, scale, zero_point)


def activations(s):
    for dtype in (torch.quint8, torch.qint8):
        shift = 128 if dtype == torch.qint8 else 0
        tag = str(dtype)[6:]
        for xs, xz in ((0.05, 128), (0.031, 0), (0.1, 255), (0.4, 100)):
            x = every_value(dtype, xs, xz - shift)
            label = f"{tag} s={xs} z={xz - shift}"

            def add(name, out, attrs=None, x=x, label=label):
                s.case(f"{name} {label}", f"quantized.{name}", {"x": x}, attrs or {}, {"output": out})

            out_zp = 77 - shift
            add("relu", torch.relu(x))
            add("relu6", Q.relu6(x, False))
            add("clamp", Q.clamp(x, -1.5, 2.0), {"min": -1.5, "max": 2.0})
            add("hardtanh", F.hardtanh(x, -0.5, 1.0), {"minVal": -0.5, "maxVal": 1.0})
            add("leakyRelu", Q.leaky_relu(x, 0.1, False, 0.03, out_zp), {"negativeSlope": 0.1, "scale": 0.03, "zeroPoint": out_zp})
            add("elu", Q.elu(x, 0.03, out_zp, 0.8), {"alpha": 0.8, "scale": 0.03, "zeroPoint": out_zp})
            add("celu", Q.celu(x, 0.03, out_zp, 1.3), {"alpha": 1.3, "scale": 0.03, "zeroPoint": out_zp})
            add("hardswish", Q.hardswish(x, 0.03, out_zp), {"scale": 0.03, "zeroPoint": out_zp})
            add("hardsigmoid", F.hardsigmoid(x))
            add("sigmoid", torch.sigmoid(x))
            add("sigmoid with qparams", Q.sigmoid(x, 0.0051, 3 - shift), {"scale": 0.0051, "zeroPoint": 3 - shift})
            add("tanh", torch.tanh(x))
            y = torch._make_per_tensor_quantized_tensor(x.int_repr().reshape(8, 32), xs, xz - shift)
            s.case(f"softmax {label}", "quantized.softmax", {"x": y}, {"dim": 1, "scale": 1 / 256, "zeroPoint": 0 - shift}, {"output": Q.softmax(y, 1, 1 / 256, 0 - shift)})
            z = torch._make_per_tensor_quantized_tensor(x.int_repr().reshape(2, 4, 32), xs, xz - shift)
            w = torch._make_per_tensor_quantized_tensor(torch.tensor([10, 200, 128, 77]).to(torch.uint8) if dtype == torch.quint8 else torch.tensor([-118, 72, 0, -51]).to(torch.int8), 0.01, 128 - shift)
            s.case(f"prelu {label}", "quantized.prelu", {"x": z, "weight": w}, {"scale": 0.03, "zeroPoint": out_zp}, {"output": Q.prelu(z, w, 0.03, out_zp)})


def embeddings(s):
    gen = rng("qembedding")
    indices = torch.tensor([0, 2, 5, 2, 2, 1, 3])
    offsets = torch.tensor([0, 3, 3, 5])
    for bits, dtype in ((8, torch.quint8), (4, torch.quint4x2)):
        for dim in (8, 16):
            w = randn(gen, 6, dim, shift=0.3)
            lo, hi = w.min(1).values, w.max(1).values
            scales = (hi - lo) / (255 if bits == 8 else 15)
            qw = torch.quantize_per_channel(w, scales, -lo / scales, 0, dtype)
            packed = Q.embedding_bag_prepack(qw)
            look = Q.embedding_byte if bits == 8 else Q.embedding_4bit
            bag = Q.embedding_bag_byte if bits == 8 else Q.embedding_bag_4bit
            s.case(f"embedding {bits} bit {dim}", "quantized.embedding", {"weight": qw, "indices": indices}, {}, {"output": look(packed, indices)})
            if bits == 8:
                two = torch.tensor([[0, 1], [4, 4]])
                s.case(f"embedding 8 bit {dim} 2d", "quantized.embedding", {"weight": qw, "indices": two}, {}, {"output": look(packed, two)})
            s.case(f"embeddingBag {bits} bit {dim}", "quantized.embeddingBag", {"weight": qw, "indices": indices, "offsets": offsets}, {"mode": "sum"}, {"output": bag(packed, indices, offsets, False, 0)})
            weights = randn(gen, 7)
            s.case(f"embeddingBag {bits} bit {dim} weighted", "quantized.embeddingBag", {"weight": qw, "indices": indices, "offsets": offsets, "perSampleWeights": weights}, {"mode": "sum"}, {"output": bag(packed, indices, offsets, False, 0, False, weights)})
            last = torch.tensor([0, 3, 7])
            s.case(f"embeddingBag {bits} bit {dim} last offset", "quantized.embeddingBag", {"weight": qw, "indices": indices, "offsets": last}, {"mode": "sum", "includeLastOffset": True}, {"output": bag(packed, indices, last, False, 0, include_last_offset=True)})


def main():
    s = Suite("quantized-linear-conv", "quantized_ops.py", "fbgemm")
    for make in (linears, convolutions, transposed, dynamic):
        make(s)
    s.write()
    s = Suite("quantized-ops", "quantized_ops.py", "fbgemm")
    for make in (binaries, scalars, joins, pools, norms, activations, embeddings):
        make(s)
    s.write()
    for engine in ("x86", "onednn", "qnnpack"):
        s = Suite(f"quantized-{engine}", "quantized_ops.py", engine)
        linears(s, short=True)
        convolutions(s, short=True)
        if engine != "onednn":
            dynamic(s, short=True)
        s.write()


if __name__ == "__main__":
    main()
