"""Fake-quantize modules step by step, and the settings behind every named default: parity.md 3 and 4."""
import torch
import torch.ao.quantization as aoq
from torch.ao.quantization import qconfig as qc
from torch.ao.quantization import fake_quantize as fq
from torch.ao.quantization._learnable_fake_quantize import _LearnableFakeQuantize

from common import Suite, randn, rng
from observers import settings_of

INF, NAN = float("inf"), float("nan")
SYM, AFFINE = torch.per_tensor_symmetric, torch.per_tensor_affine
CH_SYM, CH_AFFINE, CH_FLOAT = torch.per_channel_symmetric, torch.per_channel_affine, torch.per_channel_affine_float_qparams

NAMES = {"averaging_constant": "averagingConstant", "reduce_range": "reduceRange", "quant_min": "quantMin", "quant_max": "quantMax", "ch_axis": "chAxis", "is_dynamic": "isDynamic", "channel_len": "channelLen", "use_grad_scaling": "useGradScaling", "zero_point": "zeroPoint"}


def options(kw):
    return {NAMES.get(k, k): (v.__name__ if isinstance(v, type) else v) for k, v in kw.items()}


def state_of(module):
    """The state dict without the histogram, under PyTorch's keys."""
    return {k: v.clone() for k, v in module.state_dict().items() if not k.endswith(("eps", "histogram"))}


def run(s, name, cls, kw, batches, switches):
    """One module over several batches; a switch pair is (fake quantize on, observer on)."""
    module = cls(**kw)
    gen = rng(name + "grad")
    steps_in, steps_out, faked = [], [], False
    for x, (fake, observe) in zip(batches, switches):
        module.enable_fake_quant() if fake else module.disable_fake_quant()
        module.enable_observer() if observe else module.disable_observer()
        x = x.clone().requires_grad_()
        g = randn(gen, *x.shape)
        y = module(x)
        grad = torch.autograd.grad(y, x, g)[0] if y is not x else g
        steps_in.append({"x": x, "gradOutput": g})
        state = state_of(module)
        faked = faked or bool(fake)
        if cls is aoq.FusedMovingAvgObsFakeQuantize and module.is_per_channel and not faked:
            # resized but never written: PyTorch shows whatever was in memory
            state["scale"].zero_()
            state["zero_point"].zero_()
        steps_out.append({"output": y, "gradX": grad, "state": state})
    scale, zero_point = module.calculate_qparams()
    s.case(
        name,
        cls.__name__,
        {"steps": steps_in},
        {"options": options(kw), "fakeQuantEnabled": [bool(a) for a, _ in switches], "observerEnabled": [bool(b) for _, b in switches]},
        {"steps": steps_out, "scale": scale, "zeroPoint": zero_point},
    )


ON = [(1, 1)] * 4
SWITCHED = [(0, 1), (1, 1), (1, 0), (0, 0), (1, 1)]
FROZEN_FIRST = [(1, 0), (1, 1), (1, 0)]


def batches_for(name, shape, count, positive=False):
    gen = rng(name)
    out = [randn(gen, *shape, scale=1.0 + 0.4 * i, shift=0.2) for i in range(count)]
    return [x.abs() + 0.05 for x in out] if positive else out


def fake_quantize(s):
    MA, MM, HI = aoq.MovingAverageMinMaxObserver, aoq.MinMaxObserver, aoq.HistogramObserver
    PC, MAPC = aoq.PerChannelMinMaxObserver, aoq.MovingAveragePerChannelMinMaxObserver
    grid = [
        ("activation", dict(observer=MA, quant_min=0, quant_max=255, dtype=torch.quint8, qscheme=AFFINE)),
        ("activation reduced", dict(observer=MA, quant_min=0, quant_max=255, reduce_range=True)),
        ("activation qint8", dict(observer=MA, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=AFFINE, eps=2**-12)),
        ("weight", dict(observer=MA, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=SYM)),
        ("weight narrow", dict(observer=MA, quant_min=-127, quant_max=127, dtype=torch.qint8, qscheme=SYM, eps=2**-12)),
        ("symmetric quint8", dict(observer=MA, quant_min=0, quant_max=255, dtype=torch.quint8, qscheme=SYM)),
        ("minmax", dict(observer=MM, quant_min=0, quant_max=255)),
        ("four bits", dict(observer=MM, quant_min=0, quant_max=15)),
        ("histogram", dict(observer=HI, quant_min=0, quant_max=255, reduce_range=True)),
        ("dynamic", dict(observer=MA, quant_min=0, quant_max=255, is_dynamic=True, averaging_constant=1)),
        ("no range", dict(observer=MA)),
        ("per channel", dict(observer=MAPC, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=CH_SYM, ch_axis=0)),
        ("per channel minmax axis 1", dict(observer=PC, quant_min=0, quant_max=255, dtype=torch.quint8, qscheme=CH_AFFINE, ch_axis=1)),
        ("embedding", dict(observer=MAPC, quant_min=0, quant_max=255, dtype=torch.quint8, qscheme=CH_FLOAT, ch_axis=0, averaging_constant=1)),
        ("embedding 4 bit", dict(observer=MAPC, dtype=torch.quint4x2, qscheme=CH_FLOAT, ch_axis=0, averaging_constant=1)),
    ]
    for label, kw in grid:
        for how, switches in (("on", ON), ("switched", SWITCHED), ("frozen first", FROZEN_FIRST)):
            if how == "frozen first" and kw["observer"] in (PC, MAPC):
                continue  # a per-channel module cannot fake-quantize before it has seen data
            name = f"FakeQuantize {label} {how}"
            run(s, name, aoq.FakeQuantize, kw, batches_for(name, [3, 4, 5], len(switches)), switches)
    for label, kw in grid[:4]:
        name = f"FakeQuantize {label} positive"
        run(s, name, aoq.FakeQuantize, kw, batches_for(name, [9], 3, positive=True), ON[:3])
    name = "FakeQuantize activation special"
    run(s, name, aoq.FakeQuantize, grid[0][1], [torch.tensor([1.0, -2.0, 0.5]), torch.tensor([5.0, -9.0, 0.0])], [(1, 1), (1, 0)])
    bad = [dict(quant_min=0, quant_max=300), dict(quant_min=-1, quant_max=255), dict(quant_min=5, quant_max=2), dict(quant_min=-128, quant_max=128, dtype=torch.qint8)]
    for kw in bad:
        s.throws(f"FakeQuantize refuses {options(kw)}", "FakeQuantize", {"steps": []}, {"options": options(kw)}, lambda k=kw: aoq.FakeQuantize(**k))


def fixed(s):
    for label, make in (("0to1", fq.default_fixed_qparams_range_0to1_fake_quant), ("neg1to1", fq.default_fixed_qparams_range_neg1to1_fake_quant)):
        name = f"FixedQParamsFakeQuantize {label}"
        module = make()
        gen = rng(name)
        steps_in, steps_out, switches = [], [], [1, 0, 1]
        for on in switches:
            module.enable_fake_quant(bool(on))
            x = randn(gen, 11, scale=0.8, shift=0.2).requires_grad_()
            g = randn(gen, 11)
            y = module(x)
            grad = torch.autograd.grad(y, x, g)[0] if y is not x else g
            steps_in.append({"x": x, "gradOutput": g})
            steps_out.append({"output": y, "gradX": grad, "state": state_of(module)})
        scale, zp = module.calculate_qparams()
        named = "defaultFixedQParamsRange0to1FakeQuant" if label == "0to1" else "defaultFixedQParamsRangeNeg1to1FakeQuant"
        s.case(name, "FixedQParamsFakeQuantize", {"steps": steps_in}, {"named": named, "fakeQuantEnabled": [bool(v) for v in switches], "observerEnabled": [True] * 3}, {"steps": steps_out, "scale": scale, "zeroPoint": zp})


def fused(s):
    MA, MAPC = aoq.MovingAverageMinMaxObserver, aoq.MovingAveragePerChannelMinMaxObserver
    F = aoq.FusedMovingAvgObsFakeQuantize
    grid = [
        ("activation", dict(observer=MA, quant_min=0, quant_max=255, dtype=torch.quint8)),
        ("activation reduced", dict(observer=MA, quant_min=0, quant_max=255, reduce_range=True)),
        ("activation qint8", dict(observer=MA, quant_min=-128, quant_max=127, dtype=torch.qint8, eps=2**-12)),
        ("weight", dict(observer=MA, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=SYM)),
        ("weight narrow", dict(observer=MA, quant_min=-127, quant_max=127, dtype=torch.qint8, qscheme=SYM, eps=2**-12)),
        ("memoryless", dict(observer=MA, quant_min=0, quant_max=255, averaging_constant=1.0)),
        ("per channel", dict(observer=MAPC, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=CH_SYM)),
        ("per channel narrow", dict(observer=MAPC, quant_min=-127, quant_max=127, dtype=torch.qint8, qscheme=CH_SYM, eps=2**-12)),
    ]
    for label, kw in grid:
        for how, switches in (("on", ON), ("switched", SWITCHED), ("frozen first", FROZEN_FIRST)):
            if how == "frozen first" and kw["observer"] is MAPC:
                continue
            name = f"FusedMovingAvgObsFakeQuantize {label} {how}"
            run(s, name, F, kw, batches_for(name, [3, 4, 5], len(switches)), switches)
        name = f"FusedMovingAvgObsFakeQuantize {label} positive"
        run(s, name, F, kw, batches_for(name, [3, 9], 3, positive=True), ON[:3])
        name = f"FusedMovingAvgObsFakeQuantize {label} tiny"
        run(s, name, F, kw, [x * 1e-5 for x in batches_for(name, [3, 9], 2)], ON[:2])
        name = f"FusedMovingAvgObsFakeQuantize {label} zeros"
        run(s, name, F, kw, [torch.zeros(3, 2), torch.ones(3, 2)], ON[:2])


def learnable(s):
    MA, MAPC = aoq.MovingAverageMinMaxObserver, aoq.MovingAveragePerChannelMinMaxObserver
    grid = [
        ("activation", dict(observer=MA, quant_min=0, quant_max=255, dtype=torch.quint8, scale=0.1, zero_point=3.0)),
        ("activation scaled", dict(observer=MA, quant_min=0, quant_max=15, dtype=torch.quint8, use_grad_scaling=True, scale=0.2, zero_point=7.4)),
        ("weight", dict(observer=MA, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=SYM, scale=0.02, zero_point=5.0)),
        ("per channel", dict(observer=MAPC, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=CH_SYM, channel_len=3, use_grad_scaling=True)),
        ("per channel affine", dict(observer=MAPC, quant_min=0, quant_max=255, dtype=torch.quint8, qscheme=CH_AFFINE, channel_len=3)),
    ]
    schedules = {
        "static then learn": ["static", "static", "learn", "learn", "learn"],
        "learn at once": ["learn", "learn", "learn"],
        "observe, static, learn": ["observe", "static", "learn", "learn"],
    }
    modes = {"static": "enable_static_estimate", "learn": "enable_param_learning", "observe": "enable_static_observation"}
    for label, kw in grid:
        for how, schedule in schedules.items():
            name = f"LearnableFakeQuantize {label} {how}"
            module = _LearnableFakeQuantize(**kw)
            gen = rng(name)
            steps_in, steps_out = [], []
            for mode in schedule:
                getattr(module, modes[mode])()
                x = randn(gen, 3, 7, scale=2.0).requires_grad_()
                g = randn(gen, 3, 7)
                module.scale.grad = module.zero_point.grad = None
                y = module(x)
                if y is not x:
                    y.backward(g)
                step = {"output": y, "gradX": x.grad if y is not x else g, "gradScale": module.scale.grad, "gradZeroPoint": module.zero_point.grad}
                step = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in step.items()}
                step["state"] = state_of(module)  # before the parameters move
                if mode == "learn":
                    with torch.no_grad():
                        module.scale -= 1e-3 * module.scale.grad
                        module.zero_point -= 0.1 * module.zero_point.grad
                steps_in.append({"x": x, "gradOutput": g})
                steps_out.append(step)
            scale, zp = module.calculate_qparams()
            s.case(name, "LearnableFakeQuantize", {"steps": steps_in}, {"options": options(kw), "modes": schedule, "lrScale": 1e-3, "lrZeroPoint": 0.1}, {"steps": steps_out, "scale": scale, "zeroPoint": zp})


NAMED = {
    "defaultFakeQuant": fq.default_fake_quant,
    "defaultWeightFakeQuant": fq.default_weight_fake_quant,
    "defaultDynamicFakeQuant": fq.default_dynamic_fake_quant,
    "defaultPerChannelWeightFakeQuant": fq.default_per_channel_weight_fake_quant,
    "defaultEmbeddingFakeQuant": fq.default_embedding_fake_quant,
    "defaultEmbeddingFakeQuant4bit": fq.default_embedding_fake_quant_4bit,
    "defaultHistogramFakeQuant": fq.default_histogram_fake_quant,
    "defaultFixedQParamsRange0to1FakeQuant": fq.default_fixed_qparams_range_0to1_fake_quant,
    "defaultFixedQParamsRangeNeg1to1FakeQuant": fq.default_fixed_qparams_range_neg1to1_fake_quant,
    "defaultFusedActFakeQuant": fq.default_fused_act_fake_quant,
    "defaultFusedWtFakeQuant": fq.default_fused_wt_fake_quant,
    "defaultFusedPerChannelWtFakeQuant": fq.default_fused_per_channel_wt_fake_quant,
    "fusedWtFakeQuantRangeNeg127To127": fq.fused_wt_fake_quant_range_neg_127_to_127,
    "fusedPerChannelWtFakeQuantRangeNeg127To127": fq.fused_per_channel_wt_fake_quant_range_neg_127_to_127,
}

QCONFIGS = {
    "defaultQConfig": "default_qconfig", "defaultDebugQConfig": "default_debug_qconfig", "defaultPerChannelQConfig": "default_per_channel_qconfig",
    "defaultDynamicQConfig": "default_dynamic_qconfig", "perChannelDynamicQConfig": "per_channel_dynamic_qconfig",
    "float16DynamicQConfig": "float16_dynamic_qconfig", "float16StaticQConfig": "float16_static_qconfig",
    "floatQParamsWeightOnlyQConfig": "float_qparams_weight_only_qconfig", "floatQParamsWeightOnlyQConfig4bit": "float_qparams_weight_only_qconfig_4bit",
    "defaultQuint8WeightQConfig": "default_quint8_weight_qconfig", "defaultQatQConfig": "default_qat_qconfig", "defaultQatQConfigV2": "default_qat_qconfig_v2",
    "defaultDynamicQatQConfig": "default_dynamic_qat_qconfig", "defaultWeightOnlyQConfig": "default_weight_only_qconfig",
    "defaultActivationOnlyQConfig": "default_activation_only_qconfig", "defaultEmbeddingQatQConfig": "default_embedding_qat_qconfig",
    "defaultEmbeddingQatQConfig4bit": "default_embedding_qat_qconfig_4bit", "defaultReuseInputQConfig": "default_reuse_input_qconfig",
    "defaultSymmetricQnnpackQConfig": "default_symmetric_qnnpack_qconfig", "defaultPerChannelSymmetricQnnpackQConfig": "default_per_channel_symmetric_qnnpack_qconfig",
    "defaultSymmetricQnnpackQatQConfig": "default_symmetric_qnnpack_qat_qconfig", "defaultPerChannelSymmetricQnnpackQatQConfig": "default_per_channel_symmetric_qnnpack_qat_qconfig",
}


def full_settings(module):
    """Settings of an observer, or of a fake quantize with the observer inside it."""
    if module is None or isinstance(module, torch.nn.Identity):
        return {"class": "Identity"}
    out = settings_of(module)
    out["class"] = out["class"].lstrip("_")
    if isinstance(module, aoq.FakeQuantizeBase):
        out["fakeQuantEnabled"] = int(module.fake_quant_enabled)
        out["observerEnabled"] = int(module.observer_enabled)
        out["flagDtype"] = module.fake_quant_enabled.dtype
        out["zeroPointDtype"] = module.zero_point.dtype
        out["stateKeys"] = sorted(module.state_dict())
        out["observer"] = settings_of(module.activation_post_process)
        for key in ("scale", "zeroPoint"):
            out.pop(key, None)
    return out


def named(s):
    for name, make in NAMED.items():
        s.case(f"named {name}", "namedFakeQuantize", {}, {"name": name}, {"settings": full_settings(make())})

    def dump(name, attrs, qconfig):
        s.case(name, "qconfig", {}, attrs, {"activation": full_settings(qconfig.activation()), "weight": full_settings(qconfig.weight()), "activationIsMemoryless": qc._activation_is_memoryless(qconfig)})

    for typescript, python in QCONFIGS.items():
        dump(f"qconfig {typescript}", {"name": typescript}, getattr(qc, python))
    for backend in ("x86", "fbgemm", "qnnpack", "onednn"):
        dump(f"getDefaultQConfig {backend}", {"getter": "getDefaultQConfig", "backend": backend, "version": 0}, qc.get_default_qconfig(backend, 0))
        for version in (0, 1):
            dump(f"getDefaultQatQConfig {backend} v{version}", {"getter": "getDefaultQatQConfig", "backend": backend, "version": version}, qc.get_default_qat_qconfig(backend, version))
    s.throws("getDefaultQConfig refuses tpu", "qconfig", {}, {"getter": "getDefaultQConfig", "backend": "tpu", "version": 0}, lambda: qc.get_default_qconfig("tpu"))
    s.throws("getDefaultQatQConfig refuses v9", "qconfig", {}, {"getter": "getDefaultQatQConfig", "backend": "x86", "version": 9}, lambda: qc.get_default_qat_qconfig("x86", 9))


def main():
    s = Suite("fake-quantize", "fake_quantize.py")
    for make in (fake_quantize, fixed, fused, learnable, named):
        make(s)
    s.write()


if __name__ == "__main__":
    main()
