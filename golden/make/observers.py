"""Every observer class over several batches: state after each batch, qparams at the end.

parity.md section 2. HistogramObserver has a file of its own because its state is 2048 wide; only
non-zero bins are written ("histogram": {"bins", "index", "count"}), and only where a case differs
from another in more than the dtype.
"""
import torch
import torch.ao.quantization as aoq

from common import Suite, randn, rng

INF, NAN = float("inf"), float("nan")
AFFINE, SYM = torch.per_tensor_affine, torch.per_tensor_symmetric
CH_AFFINE, CH_SYM, CH_FLOAT = torch.per_channel_affine, torch.per_channel_symmetric, torch.per_channel_affine_float_qparams


def sparse(hist):
    index = torch.nonzero(hist).flatten().short()
    return {"bins": hist.numel(), "index": index, "count": hist[index.long()]}


def state_of(observer, with_histogram=True):
    out = {}
    for key, value in observer.state_dict().items():
        if key == "histogram" and with_histogram:
            out[key] = sparse(value)
        elif key not in ("eps", "histogram"):
            out[key] = value.clone()
    return out


def options(**kw):
    """Constructor arguments under the TypeScript names."""
    names = {"averaging_constant": "averagingConstant", "reduce_range": "reduceRange", "quant_min": "quantMin", "quant_max": "quantMax", "ch_axis": "chAxis"}
    return {names.get(k, k): v for k, v in kw.items()}


def run(s, name, cls, kw, batches, with_histogram=True):
    observer = cls(**kw)
    states = []
    for x in batches:
        out = observer(x)
        assert out is x
        states.append(state_of(observer, with_histogram))
    scale, zero_point = observer.calculate_qparams()
    s.case(
        name,
        cls.__name__,
        {"batches": list(batches)},
        options(**kw),
        {"states": states, "scale": scale, "zeroPoint": zero_point, "effectiveQuantMin": observer.quant_min, "effectiveQuantMax": observer.quant_max},
    )


def batch_kinds(name):
    gen = rng(name)
    return {
        "mixed": [randn(gen, 3, 5, scale=1 + i, shift=0.2) for i in range(3)],
        "positive": [randn(gen, 7).abs() + 0.25 for _ in range(3)],
        "negative": [-randn(gen, 2, 2, 3).abs() - 0.25 for _ in range(3)],
        "shrinking": [randn(gen, 9, scale=4.0 / (i + 1)) for i in range(4)],
    }


def odd_kinds():
    return {
        "zeros": [torch.zeros(4), torch.zeros(2)],
        "constant": [torch.full((3,), 3.0)],
        "negconstant": [torch.full((3,), -3.0), torch.full((3,), -3.0)],
        "tiny": [torch.tensor([1e-7, -2e-7]), torch.tensor([3e-8])],
        "empty batch": [torch.tensor([1.0, -0.5]), torch.zeros(0), torch.tensor([2.0])],
        "infinite": [torch.tensor([1.0, INF]), torch.tensor([-1.0, 0.5])],
        "minus infinite": [torch.tensor([1.0, -INF])],
        "nan": [torch.tensor([1.0, NAN, -1.0]), torch.tensor([5.0])],
        "scalar": [torch.tensor(2.5), torch.tensor(-0.5)],
        "huge": [torch.tensor([1e38, -2e38])],
        "int64": [torch.tensor([3, -7, 12])],
        "float64": [torch.tensor([0.1, -0.7, 1.3], dtype=torch.float64)],
    }


PER_TENSOR = [
    ("quint8 affine", dict(dtype=torch.quint8, qscheme=AFFINE)),
    ("quint8 affine reduced", dict(dtype=torch.quint8, qscheme=AFFINE, reduce_range=True)),
    ("quint8 symmetric", dict(dtype=torch.quint8, qscheme=SYM)),
    ("quint8 0..127", dict(dtype=torch.quint8, qscheme=AFFINE, quant_min=0, quant_max=127)),
    ("quint8 symmetric 0..127", dict(dtype=torch.quint8, qscheme=SYM, quant_min=0, quant_max=127)),
    ("qint8 affine", dict(dtype=torch.qint8, qscheme=AFFINE)),
    ("qint8 affine reduced", dict(dtype=torch.qint8, qscheme=AFFINE, reduce_range=True)),
    ("qint8 symmetric", dict(dtype=torch.qint8, qscheme=SYM)),
    ("qint8 symmetric reduced", dict(dtype=torch.qint8, qscheme=SYM, reduce_range=True)),
    ("qint8 symmetric -127..127", dict(dtype=torch.qint8, qscheme=SYM, quant_min=-127, quant_max=127, eps=2**-12)),
    ("qint8 -127..127 reduced", dict(dtype=torch.qint8, qscheme=SYM, quant_min=-127, quant_max=127, reduce_range=True)),
    ("qint8 affine -8..7", dict(dtype=torch.qint8, qscheme=AFFINE, quant_min=-8, quant_max=7)),
    ("qint32 affine", dict(dtype=torch.qint32, qscheme=AFFINE)),
    ("qint32 symmetric", dict(dtype=torch.qint32, qscheme=SYM)),
    ("quint4x2 affine", dict(dtype=torch.quint4x2, qscheme=AFFINE)),
    ("uint8 affine", dict(dtype=torch.uint8, qscheme=AFFINE)),
    ("int8 symmetric", dict(dtype=torch.int8, qscheme=SYM)),
    ("int16 symmetric", dict(dtype=torch.int16, qscheme=SYM)),
]


def minmax(s):
    for label, kw in PER_TENSOR:
        for kind, batches in batch_kinds(label).items():
            run(s, f"MinMaxObserver {label} {kind}", aoq.MinMaxObserver, kw, batches)
    for label in ("quint8 affine", "qint8 affine", "qint8 symmetric"):
        kw = dict(PER_TENSOR)[label]
        for kind, batches in odd_kinds().items():
            run(s, f"MinMaxObserver {label} {kind}", aoq.MinMaxObserver, kw, batches)
    run(s, "MinMaxObserver only quant_min given", aoq.MinMaxObserver, dict(quant_min=3), [torch.tensor([-1.0, 2.0])])
    kw = dict(dtype=torch.quint8, qscheme=SYM, reduce_range=True)
    s.throws("MinMaxObserver refuses quint8 symmetric reduced", "MinMaxObserver", {"batches": []}, options(**kw), lambda: aoq.MinMaxObserver(**kw))
    bad = [dict(quant_min=1, quant_max=5), dict(dtype=torch.qint8, quant_min=0, quant_max=300), dict(quant_min=-5, quant_max=-1), dict(quant_min=0, quant_max=0), dict(qscheme=CH_AFFINE)]
    for kw in bad:
        s.throws(f"MinMaxObserver refuses {kw}", "MinMaxObserver", {"batches": []}, options(**kw), lambda k=kw: aoq.MinMaxObserver(**k))


def moving_average(s):
    for label in ("quint8 affine", "quint8 affine reduced", "qint8 symmetric", "qint8 symmetric -127..127"):
        kw = dict(PER_TENSOR)[label]
        for c in (0.01, 0.1, 1.0):
            for kind, batches in batch_kinds(f"{label} {c}").items():
                run(s, f"MovingAverageMinMaxObserver {label} c={c} {kind}", aoq.MovingAverageMinMaxObserver, dict(averaging_constant=c, **kw), batches)
    for kind, batches in odd_kinds().items():
        run(s, f"MovingAverageMinMaxObserver odd {kind}", aoq.MovingAverageMinMaxObserver, dict(averaging_constant=0.3), batches)


def per_channel_batches(name, shape, positive=False):
    gen = rng(name)
    out = []
    for i in range(3):
        x = randn(gen, *shape, scale=1.0 + 0.5 * i, shift=0.1)
        out.append(x.abs() + 0.1 if positive else x)
    return out


PER_CHANNEL = [
    ("qint8 symmetric", dict(dtype=torch.qint8, qscheme=CH_SYM)),
    ("qint8 symmetric -127..127", dict(dtype=torch.qint8, qscheme=CH_SYM, quant_min=-127, quant_max=127, eps=2**-12)),
    ("qint8 affine", dict(dtype=torch.qint8, qscheme=CH_AFFINE)),
    ("quint8 affine", dict(dtype=torch.quint8, qscheme=CH_AFFINE)),
    ("quint8 affine reduced", dict(dtype=torch.quint8, qscheme=CH_AFFINE, reduce_range=True)),
    ("quint8 symmetric", dict(dtype=torch.quint8, qscheme=CH_SYM)),
    ("quint8 float qparams", dict(dtype=torch.quint8, qscheme=CH_FLOAT)),
    ("quint4x2 float qparams", dict(dtype=torch.quint4x2, qscheme=CH_FLOAT)),
]


def per_channel(s):
    shapes = [("4d axis0", [4, 2, 3, 3], 0), ("4d axis1", [2, 5, 2, 2], 1), ("3d axis2", [2, 3, 4], 2), ("3d axis-1", [2, 3, 4], -1), ("2d axis0", [3, 6], 0)]
    for label, kw in PER_CHANNEL:
        for i, (shape_label, shape, axis) in enumerate(shapes):
            name = f"PerChannelMinMaxObserver {label} {shape_label}"
            run(s, name, aoq.PerChannelMinMaxObserver, dict(ch_axis=axis, **kw), per_channel_batches(name, shape, positive=i % 2 == 1))
    for label in ("qint8 symmetric", "quint8 affine", "quint8 float qparams"):
        kw = dict(PER_CHANNEL)[label]
        for c in (0.01, 1.0):
            for shape_label, shape, axis in shapes[:4]:
                name = f"MovingAveragePerChannelMinMaxObserver {label} c={c} {shape_label}"
                run(s, name, aoq.MovingAveragePerChannelMinMaxObserver, dict(averaging_constant=c, ch_axis=axis, **kw), per_channel_batches(name, shape))
    odd = {
        "zero row": [torch.tensor([[0.0, 0.0], [1.0, -2.0]])],
        "constant row": [torch.tensor([[3.0, 3.0], [-3.0, -3.0]])],
        "infinite row": [torch.tensor([[INF, 1.0], [1.0, -2.0]])],
        "nan row": [torch.tensor([[NAN, 1.0], [1.0, -2.0]]), torch.tensor([[4.0, 1.0], [1.0, -5.0]])],
        "empty batch": [torch.tensor([[1.0], [2.0]]), torch.zeros(2, 0), torch.tensor([[-1.0], [5.0]])],
    }
    for label in ("qint8 symmetric", "quint8 affine", "quint8 float qparams"):
        for kind, batches in odd.items():
            run(s, f"PerChannelMinMaxObserver {label} {kind}", aoq.PerChannelMinMaxObserver, dict(PER_CHANNEL)[label], batches)


    flat = torch.tensor([1.0, 2.0])
    s.throws("PerChannelMinMaxObserver refuses 1-d", "PerChannelMinMaxObserver", {"batches": [flat]}, {}, lambda: aoq.PerChannelMinMaxObserver()(flat))


def without_data(s):
    classes = [
        (aoq.MinMaxObserver, {}), (aoq.MovingAverageMinMaxObserver, {}), (aoq.PerChannelMinMaxObserver, {}),
        (aoq.MovingAveragePerChannelMinMaxObserver, {}), (aoq.MinMaxObserver, dict(dtype=torch.qint8, qscheme=SYM)),
    ]
    for cls, kw in classes:
        run(s, f"{cls.__name__} without data {kw.get('dtype', '')}".strip(), cls, kw, [])
    for scale, zp, dtype in [(1 / 256, 0, torch.quint8), (2 / 256, 128, torch.quint8), (0.3, -5, torch.qint8)]:
        kw = dict(scale=scale, zero_point=zp, dtype=dtype)
        if dtype == torch.qint8:
            kw.update(quant_min=-128, quant_max=127)
        observer = aoq.FixedQParamsObserver(**kw)
        observer(torch.randn(3))
        got = observer.calculate_qparams()
        attrs = options(**kw)
        attrs["zeroPoint"] = attrs.pop("zero_point")
        s.case(f"FixedQParamsObserver {scale:.4g} {zp}", "FixedQParamsObserver", {"batches": []}, attrs, {"states": [], "scale": got[0], "zeroPoint": got[1], "effectiveQuantMin": observer.quant_min, "effectiveQuantMax": observer.quant_max})


NAMED = {
    "defaultObserver": aoq.default_observer,
    "defaultWeightObserver": aoq.default_weight_observer,
    "weightObserverRangeNeg127To127": aoq.weight_observer_range_neg_127_to_127,
    "defaultHistogramObserver": aoq.default_histogram_observer,
    "defaultPerChannelWeightObserver": aoq.default_per_channel_weight_observer,
    "perChannelWeightObserverRangeNeg127To127": aoq.per_channel_weight_observer_range_neg_127_to_127,
    "defaultDynamicQuantObserver": aoq.default_dynamic_quant_observer,
    "defaultFloatQParamsObserver": aoq.default_float_qparams_observer,
    "defaultFloatQParamsObserver4bit": aoq.default_float_qparams_observer_4bit,
    "defaultFixedQParamsRange0to1Observer": aoq.default_fixed_qparams_range_0to1_observer,
    "defaultFixedQParamsRangeNeg1to1Observer": aoq.default_fixed_qparams_range_neg1to1_observer,
    "defaultDebugObserver": aoq.default_debug_observer,
    "defaultPlaceholderObserver": aoq.default_placeholder_observer,
    "defaultReuseInputObserver": aoq.default_reuse_input_observer,
}


def settings_of(observer):
    """What an observer was built with, under the TypeScript names."""
    keys = {"dtype": "dtype", "qscheme": "qscheme", "reduce_range": "reduceRange", "quant_min": "quantMin", "quant_max": "quantMax", "ch_axis": "chAxis", "averaging_constant": "averagingConstant", "is_dynamic": "isDynamic", "bins": "bins"}
    out = {"class": type(observer).__name__}
    for python, typescript in keys.items():
        if hasattr(observer, python):
            out[typescript] = getattr(observer, python)
    if hasattr(observer, "eps"):
        out["eps"] = float(observer.eps)
    if isinstance(observer, aoq.FixedQParamsObserver):
        out["scale"], out["zeroPoint"] = float(observer.scale), int(observer.zero_point)
    return out


def named(s):
    for name, make in NAMED.items():
        s.case(f"named {name}", "namedObserver", {}, {"name": name}, {"settings": settings_of(make())})


def histogram(s):
    H = aoq.HistogramObserver
    relu = lambda g, n, scale: torch.relu(randn(g, n, scale=scale))  # noqa: E731
    kinds = {
        "one batch": lambda g: [randn(g, 500)],
        "same range": lambda g: [torch.cat([torch.tensor([-3.0, 3.0]), randn(g, 300).clamp(-3, 3)]) for _ in range(3)],
        "growing": lambda g: [randn(g, 300, scale=1.0 + i) for i in range(4)],
        "growing fast": lambda g: [randn(g, 200, scale=10.0**i) for i in range(4)],
        "growing huge": lambda g: [randn(g, 100, scale=1e-3), randn(g, 100, scale=1e3)],
        "shrinking": lambda g: [randn(g, 200, scale=4.0 / (i + 1)) for i in range(4)],
        "relu": lambda g: [relu(g, 400, 1.0 + 0.3 * i) for i in range(3)],
        "shifted": lambda g: [randn(g, 200, shift=float(i)) for i in range(4)],
        "positive": lambda g: [randn(g, 200).abs() + 0.5 for _ in range(3)],
        "negative": lambda g: [-randn(g, 200).abs() - 0.5 for _ in range(3)],
        "constant": lambda g: [torch.full((10,), 3.0)],
        "constant twice": lambda g: [torch.full((10,), 3.0), torch.full((4,), 3.0)],
        "constant then wider": lambda g: [torch.full((10,), 3.0), randn(g, 100, scale=5.0)],
        "constant then other constant": lambda g: [torch.full((10,), 1.0), torch.full((5,), 2.0)],
        "zeros": lambda g: [torch.zeros(20)],
        "zeros then data": lambda g: [torch.zeros(20), randn(g, 100)],
        "tiny range": lambda g: [1.0 + 1e-6 * torch.rand(100, generator=g)],
        "tiny values": lambda g: [randn(g, 100, scale=1e-8), randn(g, 100, scale=1e-8)],
        "tiny then large": lambda g: [randn(g, 100, scale=1e-6), randn(g, 100)],
        "infinite dropped": lambda g: [torch.cat([randn(g, 100), torch.tensor([INF, -INF])]), randn(g, 50, scale=2.0)],
        "all infinite": lambda g: [torch.tensor([INF, -INF]), randn(g, 50)],
        "outlier": lambda g: [torch.cat([randn(g, 400), torch.tensor([80.0])])],
        "outlier later": lambda g: [randn(g, 400), torch.cat([randn(g, 100), torch.tensor([-60.0])])],
        "uniform": lambda g: [torch.rand(300, generator=g) * 2 - 1 for _ in range(2)],
        "bimodal": lambda g: [torch.cat([randn(g, 150, shift=-5.0), randn(g, 150, shift=5.0)])],
        "integers": lambda g: [torch.randint(-8, 9, (300,), generator=g).float() for _ in range(2)],
        "empty batch": lambda g: [randn(g, 60), torch.zeros(0), randn(g, 60, scale=2.0)],
        "two values": lambda g: [torch.tensor([-1.0, 2.0])],
        "scalar": lambda g: [torch.tensor(2.5), torch.tensor(-1.0)],
        "heavy tail": lambda g: [randn(g, 500) ** 3 for _ in range(2)],
        "images": lambda g: [torch.relu(randn(g, 2, 4, 8, 8, shift=0.3)) for _ in range(3)],
        "many": lambda g: [randn(g, 64, scale=1.0 + 0.1 * i, shift=0.05 * i) for i in range(12)],
    }
    settings = [
        ("quint8", dict()),
        ("quint8 reduced", dict(reduce_range=True)),
        ("qint8 symmetric", dict(dtype=torch.qint8, qscheme=SYM)),
    ]
    for label, kw in settings:
        for kind, make in kinds.items():
            # The histogram itself does not depend on dtype, so one setting writes it.
            run(s, f"HistogramObserver {label} {kind}", H, kw, make(rng(kind)), with_histogram=label == "quint8")
    extra = [
        ("qint8 affine eps12", dict(dtype=torch.qint8, qscheme=AFFINE, quant_min=-128, quant_max=127, eps=2**-12)),
        ("quint8 0..127", dict(quant_min=0, quant_max=127)),
        ("quint8 symmetric", dict(qscheme=SYM)),
        ("256 bins", dict(bins=256)),
        ("1000 bins", dict(bins=1000)),
        ("quint4x2", dict(dtype=torch.quint4x2)),
        ("qint8 -8..7", dict(dtype=torch.qint8, quant_min=-8, quant_max=7)),
    ]
    for label, kw in extra:
        for kind in ("one batch", "growing", "relu", "outlier later", "heavy tail"):
            run(s, f"HistogramObserver {label} {kind}", H, kw, kinds[kind](rng(kind)), with_histogram="bins" in kw)
    run(s, "HistogramObserver without data", H, {}, [])
    bad = torch.tensor([1.0, NAN])
    s.throws("HistogramObserver refuses NaN", "HistogramObserver", {"batches": [bad]}, {}, lambda: H()(bad))


def search(s):
    """The search of the range alone, on histograms of a million values: there the last bit of its sums matters."""
    shapes = {
        "relu": lambda x: torch.exp(-x * 9),
        "bell": lambda x: torch.exp(-((x - 0.45) ** 2) * 40),
        "skewed": lambda x: x.sqrt() * torch.exp(-x * 12),
        "peaks": lambda x: torch.exp(-((x - 0.2) ** 2) * 300) + 0.3 * torch.exp(-((x - 0.7) ** 2) * 500),
    }
    for kind, density in shapes.items():
        for i in range(6):
            name = f"searchHistogram {kind} {i}"
            gen = rng(name)
            observer = aoq.HistogramObserver(dtype=torch.quint8 if i % 2 else torch.qint8)
            mean = density(torch.linspace(0, 1, 2048)) * 3000
            # widening a range cuts counts into fractions, whose sum is no longer exact
            counts = (mean + randn(gen, 2048) * mean.sqrt()).clamp(min=0).round() * 0.8125 + (mean / 7)
            if kind == "relu":
                counts[0] += 1e6
            observer.histogram.copy_(counts)
            low = 0.0 if kind == "relu" else -float(torch.rand((), generator=gen)) * 3
            observer.min_val, observer.max_val = torch.tensor(low), torch.tensor(low + 1 + float(torch.rand((), generator=gen)) * 8)
            new_min, new_max = observer._non_linear_param_search()
            s.case(name, "searchHistogram", {"counts": counts, "min": observer.min_val, "max": observer.max_val}, {"targets": observer.dst_nbins}, {"min": new_min, "max": new_max})


def main():
    s = Suite("histogram-search", "observers.py")
    search(s)
    s.write()
    s = Suite("observers", "observers.py")
    for make in (minmax, moving_average, per_channel, without_data, named):
        make(s)
    s.write()
    h = Suite("histogram", "observers.py")
    histogram(h)
    h.write()


if __name__ == "__main__":
    main()
