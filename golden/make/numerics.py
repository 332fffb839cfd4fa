"""Quantize, dequantize, int_repr, fake-quantize and qparam selection: parity.md section 1."""
import math

import torch

from common import Suite, randn, rng

import torch.ao.quantization.fx._decomposed  # noqa: F401 - registers quantized_decomposed

NAN, INF = float("nan"), float("inf")
DTYPE_RANGE = {torch.quint8: (0, 255), torch.qint8: (-128, 127), torch.qint32: (-(2**31), 2**31 - 1)}
SHAPES = [[17], [2, 3, 5], [1], [0], [3, 0, 2], [4, 33], [2, 2, 3, 3], []]
SPECIAL = torch.tensor([NAN, INF, -INF, 0.0, -0.0, 1e38, -1e38, 3.4028235e38, 1e-45, -1e-45, 1e-38, 5e9, -5e9, 1.5, 2.5, -0.5, -1.5])


def ties(scale, zero_point=0, span=40):
    """Values that fall on (or within one float of) a rounding tie."""
    k = torch.arange(-span, span, dtype=torch.float64) + 0.5
    exact = (k * scale).to(torch.float32)
    up = torch.nextafter(exact, torch.full_like(exact, INF))
    down = torch.nextafter(exact, torch.full_like(exact, -INF))
    return torch.cat([exact, up, down])


def quantize_per_tensor(s):
    grid = [
        (torch.quint8, [(0.1, 0), (1 / 3, 3), (0.05, 128), (2.7, 255), (0.0173, 77), (-0.1, 10), (1e-8, 0), (1e10, 5), (1.0, 1)]),
        (torch.qint8, [(0.1, 0), (1 / 3, -3), (0.05, -128), (2.7, 127), (0.0173, 31), (-0.1, 10), (1e-8, 0), (1e10, 5), (0.5, -1)]),
        (torch.qint32, [(0.1, 0), (1 / 3, 17), (1e-9, 0), (1e-6, -5), (2.0, 2**31 - 1)]),
    ]
    for dtype, params in grid:
        for i, (scale, zp) in enumerate(params):
            for kind in ("normal", "ties", "special"):
                shape = SHAPES[i % len(SHAPES)]
                name = f"quantizePerTensor {str(dtype)[6:]} s={scale:.4g} z={zp} {kind}"
                gen = rng(name)
                x = {"normal": lambda: randn(gen, *shape, scale=40 * abs(scale)), "ties": lambda: ties(scale), "special": lambda: SPECIAL}[kind]()
                q = torch.quantize_per_tensor(x, scale, zp, dtype)
                s.case(name, "quantizePerTensor", {"x": x}, {"scale": scale, "zeroPoint": zp, "dtype": dtype}, {"output": q, "dequantized": q.dequantize()})
    x = torch.ones(3)
    for dtype, zp in [(torch.quint8, 256), (torch.quint8, -1), (torch.qint8, 128), (torch.qint8, -129)]:
        s.throws(f"quantizePerTensor {str(dtype)[6:]} refuses z={zp}", "quantizePerTensor", {"x": x}, {"scale": 0.1, "zeroPoint": zp, "dtype": dtype}, lambda d=dtype, z=zp: torch.quantize_per_tensor(x, 0.1, z, d))


def quantize_per_channel(s):
    cases = [
        ("weight4d", [4, 3, 3, 3], 0), ("axis1", [3, 5, 4], 1), ("last", [6, 7], 1), ("one", [1, 9], 0), ("vector", [5], 0), ("empty", [3, 0], 0), ("mid4d", [2, 3, 4, 5], 2),
    ]
    for dtype in (torch.qint8, torch.quint8, torch.qint32):
        lo, hi = DTYPE_RANGE[dtype]
        for label, shape, axis in cases:
            for kind in ("normal", "ties"):
                name = f"quantizePerChannel {str(dtype)[6:]} {label} {kind}"
                gen = rng(name)
                n = shape[axis]
                scales = torch.rand(n, generator=gen, dtype=torch.float64) * 0.3 + 1e-3
                zps = torch.randint(max(lo, -128), min(hi, 255) + 1, (n,), generator=gen)
                x = randn(gen, *shape, scale=6)
                if kind == "ties":
                    view = [1] * len(shape)
                    view[axis] = n
                    k = torch.randint(-60, 60, shape, generator=gen).double() + 0.5
                    x = (k * scales.view(view)).float()
                q = torch.quantize_per_channel(x, scales, zps, axis, dtype)
                s.case(name, "quantizePerChannel", {"x": x, "scales": scales, "zeroPoints": zps}, {"axis": axis, "dtype": dtype}, {"output": q, "dequantized": q.dequantize()})
        name = f"quantizePerChannel {str(dtype)[6:]} special"
        x = torch.stack([SPECIAL, SPECIAL * 2])
        scales, zps = torch.tensor([0.1, 7.0], dtype=torch.float64), torch.tensor([0, 3])
        q = torch.quantize_per_channel(x, scales, zps, 0, dtype)
        s.case(name, "quantizePerChannel", {"x": x, "scales": scales, "zeroPoints": zps}, {"axis": 0, "dtype": dtype}, {"output": q, "dequantized": q.dequantize()})


def quantize_float_qparams(s):
    for dtype in (torch.quint8, torch.quint4x2):
        for label, shape in [("rows", [5, 8]), ("odd", [3, 7]), ("wide", [2, 33]), ("one", [1, 4])]:
            name = f"quantizePerChannel floatQParams {str(dtype)[6:]} {label}"
            gen = rng(name)
            x = randn(gen, *shape, scale=2, shift=0.7)
            lo, hi = x.min(1).values, x.max(1).values
            top = 255 if dtype == torch.quint8 else 15
            scales = (hi - lo) / top
            zps = -lo / scales
            q = torch.quantize_per_channel(x, scales, zps, 0, dtype)
            attrs = {"axis": 0, "dtype": dtype}
            s.case(name, "quantizePerChannel", {"x": x, "scales": scales, "zeroPoints": zps}, attrs, {"output": q, "dequantized": q.dequantize()})
    for dtype in (torch.quint8, torch.quint4x2):
        x = torch.cat([SPECIAL, torch.tensor([1e10])]).repeat(2, 1)
        scales, zps = torch.tensor([0.1, 7.0]), torch.tensor([3.5, 0.25])
        q = torch.quantize_per_channel(x, scales, zps, 0, dtype)
        s.case(f"quantizePerChannel floatQParams {str(dtype)[6:]} special", "quantizePerChannel", {"x": x, "scales": scales, "zeroPoints": zps}, {"axis": 0, "dtype": dtype}, {"output": q, "dequantized": q.dequantize()})
    name = "quantizePerChannel floatQParams quint8 clipped"
    x = randn(rng(name), 3, 11, scale=5)
    scales, zps = torch.tensor([0.01, 0.2, 1.0]), torch.tensor([0.5, 100.25, -3.0])
    q = torch.quantize_per_channel(x, scales, zps, 0, torch.quint8)
    s.case(name, "quantizePerChannel", {"x": x, "scales": scales, "zeroPoints": zps}, {"axis": 0, "dtype": torch.quint8}, {"output": q, "dequantized": q.dequantize()})


def ranges():
    """Data of the shapes that make qparam selection branch."""
    out = {
        "mixed": lambda g: randn(g, 3, 7, scale=2),
        "positive": lambda g: randn(g, 19).abs() + 0.5,
        "negative": lambda g: -randn(g, 19).abs() - 0.5,
        "zeros": lambda g: torch.zeros(6),
        "constant": lambda g: torch.full((5,), 3.0),
        "negconstant": lambda g: torch.full((5,), -3.0),
        "tiny": lambda g: randn(g, 9, scale=1e-6),
        "tinypositive": lambda g: randn(g, 9, scale=1e-6).abs(),
        "tinynegative": lambda g: -randn(g, 9, scale=1e-6).abs(),
        "denormal": lambda g: torch.tensor([1e-44, -3e-45, 0.0]),
        "huge": lambda g: randn(g, 11, scale=1e30),
        "lopsided": lambda g: torch.tensor([-0.01, 0.0, 12.5, 3.25]),
        "neglopsided": lambda g: torch.tensor([0.01, 0.0, -12.5, -3.25]),
        "half": lambda g: torch.tensor([-0.5, 0.5, 0.25]),
        "one": lambda g: torch.tensor([0.75]),
        "scalar": lambda g: torch.tensor(-1.25),
    }
    return out


def dynamic(s):
    for kind, make in ranges().items():
        for dtype in (torch.quint8, torch.qint8):
            for reduce_range in (False, True):
                name = f"quantizePerTensorDynamic {str(dtype)[6:]} reduce={int(reduce_range)} {kind}"
                x = make(rng(kind))
                q = torch.quantize_per_tensor_dynamic(x, dtype, reduce_range)
                s.case(name, "quantizePerTensorDynamic", {"x": x}, {"dtype": dtype, "reduceRange": reduce_range}, {"output": q, "dequantized": q.dequantize()})
    x = randn(rng("f16"), 7, scale=3)
    s.case("quantizePerTensorDynamic float16", "quantizePerTensorDynamic", {"x": x}, {"dtype": torch.float16, "reduceRange": False}, {"output": torch.quantize_per_tensor_dynamic(x, torch.float16, False)})
    empty = torch.zeros(0)
    s.throws("quantizePerTensorDynamic refuses empty", "quantizePerTensorDynamic", {"x": empty}, {"dtype": torch.quint8, "reduceRange": False}, lambda: torch.quantize_per_tensor_dynamic(empty, torch.quint8, False))


def choose_qparams(s):
    qd = torch.ops.quantized_decomposed
    for kind, make in ranges().items():
        x = make(rng(kind))
        for reduce_range in (False, True):
            scale, zp = torch._choose_qparams_per_tensor(x, reduce_range)
            s.case(f"chooseQParamsPerTensor reduce={int(reduce_range)} {kind}", "chooseQParamsPerTensor", {"x": x}, {"reduceRange": reduce_range}, {"scale": float(scale), "zeroPoint": int(zp)})
        for qmin, qmax, dtype in [(0, 255, torch.uint8), (-128, 127, torch.int8), (0, 127, torch.uint8)]:
            scale, zp = qd.choose_qparams.tensor(x, qmin, qmax, 2**-23, dtype)
            s.case(f"decomposed.chooseQParams {qmin}..{qmax} {kind}", "decomposed.chooseQParams", {"x": x}, {"quantMin": qmin, "quantMax": qmax, "eps": 2**-23, "dtype": dtype}, {"scale": scale, "zeroPoint": zp})
        for qmin, qmax, dtype in [(-127, 127, torch.int8), (-128, 127, torch.int8), (0, 255, torch.uint8)]:
            scale, zp = qd.choose_qparams_symmetric.tensor(x, qmin, qmax, 2**-12, dtype)
            s.case(f"decomposed.chooseQParamsSymmetric {qmin}..{qmax} {kind}", "decomposed.chooseQParamsSymmetric", {"x": x}, {"quantMin": qmin, "quantMax": qmax, "eps": 2**-12, "dtype": dtype}, {"scale": scale, "zeroPoint": zp})
    for shape in ([3, 7], [2, 3, 4], [4, 1]):
        x = randn(rng(str(shape)), *shape, scale=2)
        scale, zp = qd._choose_qparams_per_token_asymmetric_impl(x, torch.int8)
        s.case(f"decomposed.chooseQParamsPerTokenAsymmetric {shape}", "decomposed.chooseQParamsPerTokenAsymmetric", {"x": x}, {"dtype": torch.int8}, {"scale": scale, "zeroPoint": zp})
        q = qd.quantize_per_token(x, scale, zp, -128, 127, torch.int8)
        s.case(f"decomposed.quantizePerToken {shape}", "decomposed.quantizePerToken", {"x": x, "scale": scale, "zeroPoint": zp}, {"quantMin": -128, "quantMax": 127, "dtype": torch.int8}, {"output": q, "dequantized": qd.dequantize_per_token(q, scale, zp, -128, 127, torch.int8, torch.float32)})


def fake_quantize(s):
    params = [(0.1, 0, 0, 255), (0.1, 0, -128, 127), (1 / 3, 7, 0, 127), (0.05, -64, -64, 63), (2.5, 3, 0, 15), (0.0173, 100, 0, 255), (0.01, 0, -127, 127)]
    for i, (scale, zp, qmin, qmax) in enumerate(params):
        for kind in ("normal", "ties", "special"):
            name = f"fakeQuantizePerTensorAffine s={scale:.4g} z={zp} {qmin}..{qmax} {kind}"
            gen = rng(name)
            shape = SHAPES[i % len(SHAPES)]
            x = {"normal": lambda: randn(gen, *shape, scale=60 * scale), "ties": lambda: ties(scale), "special": lambda: SPECIAL.clone()}[kind]().requires_grad_()
            g = randn(gen, *x.shape)
            y = torch.fake_quantize_per_tensor_affine(x, scale, zp, qmin, qmax)
            y.backward(g)
            s.case(name, "fakeQuantizePerTensorAffine", {"x": x, "gradOutput": g}, {"scale": scale, "zeroPoint": zp, "quantMin": qmin, "quantMax": qmax}, {"output": y, "gradX": x.grad})
    name = "fakeQuantizePerTensorAffine float64"
    x = randn(rng(name), 9).double().requires_grad_()
    y = torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7)
    y.sum().backward()
    s.case(name, "fakeQuantizePerTensorAffine", {"x": x, "gradOutput": torch.ones(9, dtype=torch.float64)}, {"scale": 0.1, "zeroPoint": 0, "quantMin": -8, "quantMax": 7}, {"output": y, "gradX": x.grad})
    for scale, zp in ((0.1, 3), (0.013, 100)):
        name = f"fakeQuantizePerTensorAffine float16 s={scale}"
        x = (randn(rng(name), 25) * 2).half().requires_grad_()
        g = randn(rng(name + "g"), 25).half()
        y = torch.fake_quantize_per_tensor_affine(x, scale, zp, 0, 255)
        y.backward(g)
        s.case(name, "fakeQuantizePerTensorAffine", {"x": x, "gradOutput": g}, {"scale": scale, "zeroPoint": zp, "quantMin": 0, "quantMax": 255}, {"output": y, "gradX": x.grad})
    name = "fakeQuantizePerChannelAffine float16"
    x = (randn(rng(name), 3, 9) * 2).half().requires_grad_()
    g = randn(rng(name + "g"), 3, 9).half()
    scales, zps = torch.tensor([0.05, 0.013, 0.2]), torch.tensor([0, 5, -9], dtype=torch.int32)
    y = torch.fake_quantize_per_channel_affine(x, scales, zps, 0, -128, 127)
    y.backward(g)
    s.case(name, "fakeQuantizePerChannelAffine", {"x": x, "scales": scales, "zeroPoints": zps, "gradOutput": g}, {"axis": 0, "quantMin": -128, "quantMax": 127}, {"output": y, "gradX": x.grad})
    x = torch.ones(3)
    for zp, lo, hi in [(300, 0, 255), (-1, 0, 255), (0, 5, 3)]:
        s.throws(f"fakeQuantizePerTensorAffine refuses z={zp} {lo}..{hi}", "fakeQuantizePerTensorAffine", {"x": x}, {"scale": 0.1, "zeroPoint": zp, "quantMin": lo, "quantMax": hi}, lambda z=zp, a=lo, b=hi: torch.fake_quantize_per_tensor_affine(x, 0.1, z, a, b))

    channel = [("weight", [4, 3, 3, 3], 0, -128, 127), ("narrow", [5, 6], 0, -127, 127), ("axis1", [2, 3, 5], 1, 0, 255), ("last", [4, 7], 1, 0, 15), ("one", [1, 13], 0, -128, 127)]
    for label, shape, axis, qmin, qmax in channel:
        for kind in ("normal", "ties"):
            name = f"fakeQuantizePerChannelAffine {label} {kind}"
            gen = rng(name)
            n = shape[axis]
            scales = torch.rand(n, generator=gen) * 0.2 + 0.01
            zps = torch.randint(qmin, qmax + 1, (n,), generator=gen).int() if label != "weight" else torch.zeros(n, dtype=torch.int32)
            x = randn(gen, *shape, scale=4)
            if kind == "ties":
                view = [1] * len(shape)
                view[axis] = n
                x = ((torch.randint(-60, 60, shape, generator=gen).double() + 0.5) * scales.double().view(view)).float()
            x.requires_grad_()
            g = randn(gen, *shape)
            y = torch.fake_quantize_per_channel_affine(x, scales, zps, axis, qmin, qmax)
            y.backward(g)
            s.case(name, "fakeQuantizePerChannelAffine", {"x": x, "scales": scales, "zeroPoints": zps, "gradOutput": g}, {"axis": axis, "quantMin": qmin, "quantMax": qmax}, {"output": y, "gradX": x.grad})
    name = "fakeQuantizePerChannelAffine special"
    x = torch.stack([SPECIAL, SPECIAL * 3]).requires_grad_()
    g = torch.ones_like(x)
    scales, zps = torch.tensor([0.1, 3.0]), torch.tensor([0, 4], dtype=torch.int32)
    y = torch.fake_quantize_per_channel_affine(x, scales, zps, 0, -128, 127)
    y.backward(g)
    s.case(name, "fakeQuantizePerChannelAffine", {"x": x, "scales": scales, "zeroPoints": zps, "gradOutput": g}, {"axis": 0, "quantMin": -128, "quantMax": 127}, {"output": y, "gradX": x.grad})
    name = "fakeQuantizePerChannelAffine float zero points special"
    x = torch.stack([SPECIAL, SPECIAL * 3]).requires_grad_()
    g = torch.ones_like(x)
    scales, zps = torch.tensor([0.1, 3.0]), torch.tensor([0.75, 4.5])
    y = torch.fake_quantize_per_channel_affine(x, scales, zps, 0, 0, 255)
    y.backward(g)
    s.case(name, "fakeQuantizePerChannelAffine", {"x": x, "scales": scales, "zeroPoints": zps, "gradOutput": g}, {"axis": 0, "quantMin": 0, "quantMax": 255}, {"output": y, "gradX": x.grad})
    name = "fakeQuantizePerChannelAffine float zero points"
    gen = rng(name)
    x = randn(gen, 4, 6, scale=2).requires_grad_()
    g = randn(gen, 4, 6)
    scales, zps = torch.rand(4, generator=gen) * 0.1 + 0.01, torch.rand(4, generator=gen) * 100
    y = torch.fake_quantize_per_channel_affine(x, scales, zps, 0, 0, 255)
    y.backward(g)
    s.case(name, "fakeQuantizePerChannelAffine", {"x": x, "scales": scales, "zeroPoints": zps, "gradOutput": g}, {"axis": 0, "quantMin": 0, "quantMax": 255}, {"output": y, "gradX": x.grad})


def learnable(s):
    per_tensor = [(0.1, 0.0, 0, 255), (0.05, 100.4, 0, 255), (0.05, 99.5, 0, 127), (0.2, -3.5, -128, 127), (0.1, 7.5, 0, 15), (0.02, 300.0, 0, 255)]
    for i, (scale, zp, qmin, qmax) in enumerate(per_tensor):
        for scaled in (False, True):
            name = f"fakeQuantizeLearnablePerTensorAffine s={scale} z={zp} {qmin}..{qmax} scaled={int(scaled)}"
            gen = rng(name)
            x = randn(gen, *SHAPES[i % 3], scale=5).requires_grad_()
            sc, z = torch.tensor([scale], requires_grad=True), torch.tensor([zp], requires_grad=True)
            factor = 1.0 / math.sqrt(x.numel() * qmax) if scaled else 1.0
            g = randn(gen, *x.shape)
            y = torch._fake_quantize_learnable_per_tensor_affine(x, sc, z, qmin, qmax, factor)
            y.backward(g)
            s.case(name, "fakeQuantizeLearnablePerTensorAffine", {"x": x, "scale": sc, "zeroPoint": z, "gradOutput": g}, {"quantMin": qmin, "quantMax": qmax, "gradFactor": factor}, {"output": y, "gradX": x.grad, "gradScale": sc.grad, "gradZeroPoint": z.grad})
    for label, shape, axis, qmin, qmax in [("weight", [4, 2, 3, 3], 0, -128, 127), ("narrow", [5, 6], 0, -127, 127), ("axis1", [2, 3, 5], 1, 0, 255), ("nibble", [4, 7], 1, 0, 15)]:
        for scaled in (False, True):
            name = f"fakeQuantizeLearnablePerChannelAffine {label} scaled={int(scaled)}"
            gen = rng(name)
            n = shape[axis]
            x = randn(gen, *shape, scale=4).requires_grad_()
            sc = (torch.rand(n, generator=gen) * 0.1 + 0.01).requires_grad_()
            z = (torch.rand(n, generator=gen) * 20 - 5 + 0.25).requires_grad_()
            factor = 1.0 / math.sqrt(x.numel() * qmax) if scaled else 1.0
            g = randn(gen, *shape)
            y = torch._fake_quantize_learnable_per_channel_affine(x, sc, z, axis, qmin, qmax, factor)
            y.backward(g)
            s.case(name, "fakeQuantizeLearnablePerChannelAffine", {"x": x, "scale": sc, "zeroPoint": z, "gradOutput": g}, {"axis": axis, "quantMin": qmin, "quantMax": qmax, "gradFactor": factor}, {"output": y, "gradX": x.grad, "gradScale": sc.grad, "gradZeroPoint": z.grad})


def decomposed(s):
    qd = torch.ops.quantized_decomposed
    params = [(0.1, 3, 0, 255, torch.uint8), (1 / 3, -7, -128, 127, torch.int8), (0.05, 0, -127, 127, torch.int8), (0.0173, 64, 0, 127, torch.uint8), (1e-4, 0, -32768, 32767, torch.int16), (1e-3, 5, -(2**31), 2**31 - 1, torch.int32)]
    for scale, zp, qmin, qmax, dtype in params:
        for kind in ("normal", "ties"):
            name = f"decomposed.quantizePerTensor s={scale:.4g} z={zp} {qmin}..{qmax} {kind}"
            x = randn(rng(name), 3, 7, scale=80 * scale) if kind == "normal" else ties(scale)
            q = qd.quantize_per_tensor.default(x, scale, zp, qmin, qmax, dtype)
            d = qd.dequantize_per_tensor.default(q, scale, zp, qmin, qmax, dtype)
            attrs = {"scale": scale, "zeroPoint": zp, "quantMin": qmin, "quantMax": qmax, "dtype": dtype}
            s.case(name, "decomposed.quantizePerTensor", {"x": x}, attrs, {"output": q, "dequantized": d})
        name = f"decomposed.quantizePerTensor.tensor s={scale:.4g} z={zp} {qmin}..{qmax}"
        x = ties(scale)
        st, zt = torch.tensor(scale), torch.tensor(zp, dtype=torch.int64)
        q = qd.quantize_per_tensor.tensor(x, st, zt, qmin, qmax, dtype)
        s.case(name, "decomposed.quantizePerTensor", {"x": x}, {"scale": float(st), "zeroPoint": zp, "quantMin": qmin, "quantMax": qmax, "dtype": dtype}, {"output": q, "dequantized": qd.dequantize_per_tensor.tensor(q, st, zt, qmin, qmax, dtype)})
    for label, shape, axis, qmin, qmax, dtype in [("weight", [4, 3, 3, 3], 0, -128, 127, torch.int8), ("narrow", [5, 6], 0, -127, 127, torch.int8), ("axis1", [2, 3, 5], 1, 0, 255, torch.uint8)]:
        for kind in ("normal", "ties"):
            name = f"decomposed.quantizePerChannel {label} {kind}"
            gen = rng(name)
            n = shape[axis]
            scales, zps = torch.rand(n, generator=gen) * 0.1 + 0.01, torch.randint(qmin, qmax + 1, (n,), generator=gen)
            view = [1] * len(shape)
            view[axis] = n
            x = randn(gen, *shape, scale=4)
            if kind == "ties":
                x = ((torch.randint(-60, 60, shape, generator=gen).double() + 0.5) * scales.double().view(view)).float()
            q = qd.quantize_per_channel(x, scales, zps, axis, qmin, qmax, dtype)
            d = qd.dequantize_per_channel(q, scales, zps, axis, qmin, qmax, dtype)
            s.case(name, "decomposed.quantizePerChannel", {"x": x, "scales": scales, "zeroPoints": zps}, {"axis": axis, "quantMin": qmin, "quantMax": qmax, "dtype": dtype}, {"output": q, "dequantized": d})
    for group in (4, 8):
        name = f"decomposed.quantizePerChannelGroup {group}"
        gen = rng(name)
        x = randn(gen, 3, 16, scale=2)
        scales, zps = torch.rand(3, 16 // group, generator=gen) * 0.2 + 0.1, torch.randint(0, 5, (3, 16 // group), generator=gen)
        q = qd.quantize_per_channel_group(x, scales, zps, -8, 7, torch.int8, group)
        d = qd.dequantize_per_channel_group(q, scales, zps, -8, 7, torch.int8, group, torch.float32)
        s.case(name, "decomposed.quantizePerChannelGroup", {"x": x, "scales": scales, "zeroPoints": zps}, {"quantMin": -8, "quantMax": 7, "dtype": torch.int8, "groupSize": group}, {"output": q, "dequantized": d})


def fused(s):
    """fused_moving_avg_obs_fake_quant: an update, qparams by the C++ helper, fake quantize."""
    grid = [(0, 255, False, False), (0, 127, False, False), (-128, 127, True, False), (-127, 127, True, False), (-128, 127, True, True), (0, 255, False, True)]
    for qmin, qmax, symmetric, per_channel in grid:
        for c in (0.01, 1.0):
            for kind in ("mixed", "positive"):
                name = f"fusedMovingAvgObsFakeQuant {qmin}..{qmax} sym={int(symmetric)} perChannel={int(per_channel)} c={c} {kind}"
                gen = rng(name)
                size = 3 if per_channel else 1
                observer_on, fake_on = torch.tensor([1]), torch.tensor([1])
                lo = torch.tensor([]) if per_channel else torch.tensor(INF)
                hi = torch.tensor([]) if per_channel else torch.tensor(-INF)
                scale, zp = torch.ones(size), torch.zeros(size, dtype=torch.int32)
                xs, steps = [], []
                switches = [(1, 1), (1, 1), (0, 1), (1, 0), (1, 1)]
                for obs, fq in switches:
                    observer_on[0], fake_on[0] = obs, fq
                    x = randn(gen, 3, 5, scale=2, shift=0.3)
                    x = (x.abs() + 0.1 if kind == "positive" else x).requires_grad_()
                    y = torch.fused_moving_avg_obs_fake_quant(x, observer_on, fake_on, lo, hi, scale, zp, c, qmin, qmax, 0, per_channel, symmetric)
                    g = randn(gen, 3, 5)
                    grad = torch.autograd.grad(y, x, g)[0]
                    xs.append({"x": x, "gradOutput": g})
                    steps.append({"output": y.detach().clone(), "gradX": grad, "runningMin": lo.clone(), "runningMax": hi.clone(), "scale": scale.clone(), "zeroPoint": zp.clone()})
                s.case(name, "fusedMovingAvgObsFakeQuant", {"steps": xs}, {"observerOn": [a for a, _ in switches], "fakeQuantOn": [b for _, b in switches], "averagingConst": c, "quantMin": qmin, "quantMax": qmax, "chAxis": 0, "perRowFakeQuant": per_channel, "symmetricQuant": symmetric}, {"steps": steps})


def main():
    s = Suite("numerics", "numerics.py")
    for make in (quantize_per_tensor, quantize_per_channel, quantize_float_qparams, dynamic, choose_qparams, fake_quantize, learnable, decomposed, fused):
        make(s)
    s.write()


if __name__ == "__main__":
    main()
