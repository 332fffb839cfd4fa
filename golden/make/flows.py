"""Eager flows end to end: post-training static, dynamic, weight-only, and quantization-aware training.

A case holds the float state dict, the batches, and what PyTorch has after each stage: the state dict of the
prepared and of the converted model, the integer output of every module of the converted model on the
first test batch, the integers that reach the DeQuantStub, and the float output.

Most static flows use weights and inputs on a coarse dyadic grid: their float sums are exact, so observers
see the same numbers whatever the summation order, and integers can be asked to be equal.
"""
import contextlib
import copy

import numpy as np
import torch
import torch.ao.quantization as aoq
import torch.nn as nn
import torch.nn.functional as F

import flow_models as models
from common import Suite, encode, randn, rng, seed_of
from observers import sparse

QCONFIGS = {
    "x86": lambda: aoq.get_default_qconfig("x86"),
    "qnnpack": lambda: aoq.get_default_qconfig("qnnpack"),
    "onednn": lambda: aoq.get_default_qconfig("onednn"),
    "default": lambda: aoq.default_qconfig,
    "symmetricQnnpack": lambda: aoq.qconfig.default_symmetric_qnnpack_qconfig,
    "perChannelSymmetricQnnpack": lambda: aoq.qconfig.default_per_channel_symmetric_qnnpack_qconfig,
    "perChannel": lambda: aoq.default_per_channel_qconfig,
    "qatX86": lambda: aoq.get_default_qat_qconfig("x86"),
    "qatX86V0": lambda: aoq.get_default_qat_qconfig("x86", 0),
    "qatQnnpack": lambda: aoq.get_default_qat_qconfig("qnnpack"),
    "qatDefault": lambda: aoq.default_qat_qconfig,
}


def initialise(model, gen, dyadic):
    """Random weights; running statistics and affine parameters of norms away from their defaults."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=gen) + 0.5)
            elif value.dim() == 1 and name.endswith("weight") and name.split(".")[0].startswith(("bn", "gn", "ln", "instance", "expand", "depthwise", "project")):
                value.copy_(torch.rand(value.shape, generator=gen) + 0.5)
            else:
                fan = value[0].numel() if value.dim() > 1 else 4
                value.copy_(randn(gen, *value.shape, scale=fan**-0.5))
                if dyadic:
                    value.copy_(torch.round(value * 32) / 32)
    return model


def grid(gen, *shape, dyadic=True):
    x = randn(gen, *shape)
    return torch.round(x * 8) / 8 if dyadic else x


def recurrent_state(name, module):
    """Weights and biases of a dynamic recurrent module, whose state dict holds opaque objects under these names."""
    out = {}
    for kind, values in (("weight", module.get_weight()), ("bias", module.get_bias())):
        for key, value in values.items():
            which = key[:9] if kind == "weight" else key[:7]  # weight_ih, bias_hh
            if "_l" in key:
                layer, reverse = int(key.split("_l")[1].split("_")[0]), key.endswith("_reverse")
                index = layer * (2 if module.bidirectional else 1) + reverse
                out[f"{name}._all_weight_values.{index}.param.{which}"] = value
            else:
                out[f"{name}._packed_{which}"] = value
    return out


def state_of(model):
    """A state dict as data. Packed parameters are [weight, bias]; a histogram is its non-zero bins."""
    out = {}
    for key, value in model.state_dict().items():
        if key.endswith(".eps"):
            continue
        if isinstance(value, torch.Tensor) and key.endswith(".histogram"):
            out[key] = sparse(value)
        elif isinstance(value, (torch.Tensor, torch.dtype, tuple)):
            out[key] = value.clone() if isinstance(value, torch.Tensor) and not value.is_quantized else value
    for name, module in model.named_modules():
        if "dynamic" in type(module).__module__ and isinstance(getattr(module, "get_weight", None), type(module.forward)):
            out.update(recurrent_state(name, module))
    return out


def record(model, batches):
    """Integer outputs of the leaves on the first batch; inputs of DeQuantStubs and outputs on every batch."""
    layers, before_dequant, hooks, first = {}, [], [], [True]

    def leaf(name):
        def hook(module, inputs, output):
            if first[0] and isinstance(output, torch.Tensor) and output.is_quantized and name not in layers:
                layers[name] = output.clone()
        return hook

    def dequant(module, inputs, output):
        if inputs[0].is_quantized:
            before_dequant.append(inputs[0].clone())

    for name, module in model.named_modules():
        if name and not [child for child, _ in module.named_children() if child != "_packed_params"]:
            hooks.append(module.register_forward_hook(leaf(name)))
        if name == "dequant":
            hooks.append(module.register_forward_hook(dequant))
    outputs = []
    for batch in batches:
        outputs.append(model(*batch) if isinstance(batch, (list, tuple)) else model(batch))
        first[0] = False
    for hook in hooks:
        hook.remove()
    return {"layers": layers, "intOutput": before_dequant, "output": outputs}


def static(s, name, model, qconfig, shape, attrs=None, dyadic=True, wrap=None, qconfig_for=None, reference=False, runs=True):
    gen = rng(name)
    torch.manual_seed(seed_of(name))  # parts PyTorch creates anew on the way, and initialises at random
    model = initialise(model, gen, dyadic).eval()
    start = copy.deepcopy(model.state_dict())
    calibration = [grid(gen, *shape, dyadic=dyadic) * (1 + i) for i in range(3)]
    test = [grid(gen, *shape, dyadic=dyadic) * 2 for _ in range(2)]
    float_output = model(test[0])
    fuse = type(model).fuse
    if fuse:
        aoq.fuse_modules(model, fuse, inplace=True)
    if qconfig_for:
        for path in qconfig_for:
            model.get_submodule(path).qconfig = QCONFIGS[qconfig]()
    else:
        model.qconfig = QCONFIGS[qconfig]()
    if wrap == "QuantWrapper":
        model = aoq.QuantWrapper(model)
    elif wrap == "addQuantDequant":
        aoq.propagate_qconfig_(model)
        model = aoq.add_quant_dequant(model)
    prepared = aoq.prepare(model)
    for batch in calibration:
        prepared(batch)
    prepared_state = state_of(prepared)
    converted = aoq.convert(prepared, is_reference=reference)
    expected = {"floatOutput": float_output, "prepared": prepared_state, "converted": state_of(converted)}
    if runs and not reference:  # a reference model keeps float operators behind integer stubs and cannot run as it is
        expected.update(record(converted, test))
    full = {"model": type(model).__name__ if wrap != "QuantWrapper" else type(model.module).__name__, "qconfig": qconfig, "fuse": fuse, "wrap": wrap, "qconfigFor": qconfig_for, "reference": reference, **(attrs or {})}
    s.flow(name, "static", {"state": dict(start), "calibration": calibration, "test": test}, full, expected)


def statics(s):
    for qconfig in ("x86", "qnnpack", "default"):
        static(s, f"static Mlp {qconfig}", models.Mlp(), qconfig, [5, 6])
        static(s, f"static Conv1dNet {qconfig}", models.Conv1dNet(), qconfig, [3, 2, 16])
        static(s, f"static SkipNet {qconfig}", models.SkipNet(), qconfig, [3, 3, 8, 8])
        static(s, f"static MobileBlock {qconfig}", models.MobileBlock(), qconfig, [2, 4, 6, 6])
    static(s, "static SkipNet x86 random", models.SkipNet(), "x86", [3, 3, 8, 8], dyadic=False)
    static(s, "static SkipNet perChannel random", models.SkipNet(), "perChannel", [3, 3, 8, 8], dyadic=False)
    static(s, "static Mlp x86 random", models.Mlp(), "x86", [5, 6], dyadic=False)
    static(s, "static Mlp onednn", models.Mlp(), "onednn", [5, 6])
    static(s, "static SkipNet x86 conv3 and fc only", SkipTail(), "x86", [3, 3, 8, 8], qconfig_for=["quant", "conv3", "fc"])
    for qconfig in ("symmetricQnnpack", "perChannelSymmetricQnnpack"):  # no engine of this build runs signed activations
        static(s, f"static Mlp {qconfig}", models.Mlp(), qconfig, [5, 6], runs=False)
        static(s, f"static SkipNet {qconfig}", models.SkipNet(), qconfig, [3, 3, 8, 8], runs=False)
    static(s, "static BnMlp x86", models.BnMlp(), "x86", [5, 6])
    static(s, "static Mlp x86 reference", models.Mlp(), "x86", [5, 6], reference=True)
    static(s, "static Conv1dNet qnnpack reference", models.Conv1dNet(), "qnnpack", [3, 2, 16], reference=True)
    static(s, "static Conv3dNet x86", models.Conv3dNet(), "x86", [2, 2, 4, 5, 6])
    for qconfig in ("qnnpack", "default"):
        static(s, f"static UpNet {qconfig}", models.UpNet(), qconfig, [2, 4, 5, 5])
        # PReLU's 1-d weight cannot be observed per channel, so no x86 qconfig here
        static(s, f"static Activations {qconfig}", models.Activations(), qconfig, [2, 4, 6, 6])
    for qconfig in ("x86", "default"):
        static(s, f"static Functionals {qconfig}", models.Functionals(), qconfig, [2, 4, 6])
        static(s, f"static QuantWrapper {qconfig}", models.PlainMlp(), qconfig, [4, 6], wrap="QuantWrapper")
    static(s, "static addQuantDequant x86", models.PlainMlp(), "x86", [4, 6], wrap="addQuantDequant")
    for qconfig in ("x86", "default"):
        static(s, f"static LstmNet {qconfig}", models.LstmNet(), qconfig, [5, 2, 4], {"numLayers": 1, "bidirectional": False})
    static(s, "static LstmNet two layers", models.LstmNet(2), "default", [5, 2, 4], {"numLayers": 2, "bidirectional": False})
    static(s, "static LstmNet bidirectional", models.LstmNet(1, True), "default", [5, 2, 4], {"numLayers": 1, "bidirectional": True})
    for qconfig in ("x86", "default"):
        static(s, f"static AttentionNet {qconfig}", models.AttentionNet(), qconfig, [4, 2, 8])


class SkipTail(models.SkipNet):
    """SkipNet with the stub moved before conv3: the part before it stays float. Nothing is fused."""

    fuse = []

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        x = self.relu2(self.skip.add(x, y))
        x = self.quant(self.pool(x))
        x = self.relu3(self.conv3(x))
        x = torch.flatten(self.avg(x), 1)
        return self.dequant(self.fc(x))


def dynamic(s):
    def run(name, model, batches, quantize, attrs):
        gen = rng(name)
        model = initialise(model, gen, False).eval()
        start = dict(copy.deepcopy(model.state_dict()))
        test = batches(gen)
        call = lambda m, b: m(*b) if isinstance(b, list) else m(b)  # noqa: E731
        float_output = call(model, test[0])
        quantized = quantize(model)
        expected = {"floatOutput": float_output, "converted": state_of(quantized), "output": [call(quantized, b) for b in test]}
        s.flow(name, "dynamic", {"state": start, "test": test}, {"model": type(model).__name__, **attrs}, expected)

    rows = lambda g: [randn(g, 5, 6), randn(g, 2, 6, scale=3.0)]  # noqa: E731
    steps = lambda g: [randn(g, 5, 2, 4), randn(g, 5, 3, 4, scale=2.0)]  # noqa: E731
    run("dynamic DynamicMlp qint8", models.DynamicMlp(), rows, lambda m: aoq.quantize_dynamic(m, {nn.Linear}), {"spec": ["Linear"], "dtype": "qint8"})
    run("dynamic DynamicMlp float16", models.DynamicMlp(), rows, lambda m: aoq.quantize_dynamic(m, {nn.Linear}, torch.float16), {"spec": ["Linear"], "dtype": "float16"})
    run("dynamic DynamicMlp by name", models.DynamicMlp(), rows, lambda m: aoq.quantize_dynamic(m, {"fc2"}), {"spec": ["fc2"], "dtype": "qint8"})
    run("dynamic DynamicMlp per channel", models.DynamicMlp(), rows, lambda m: aoq.quantize_dynamic(m, {nn.Linear: aoq.per_channel_dynamic_qconfig}), {"spec": {"Linear": "perChannelDynamicQConfig"}, "dtype": "qint8"})
    run("dynamic DynamicMlp fused", models.DynamicMlp(), rows, lambda m: aoq.quantize_dynamic(aoq.fuse_modules(m, m.fuse)), {"spec": None, "dtype": "qint8", "fuse": models.DynamicMlp.fuse})
    for kind, options in (("LSTM", {}), ("LSTM", {"num_layers": 2, "bidirectional": True}), ("LSTM", {"batch_first": False, "num_layers": 2}), ("GRU", {}), ("GRU", {"num_layers": 2, "bidirectional": True})):
        attrs = {"kind": kind, "options": {{"num_layers": "numLayers", "batch_first": "batchFirst"}.get(k, k): v for k, v in options.items()}}
        label = f"{kind} {attrs['options'] or ''}".strip()
        run(f"dynamic DynamicRecurrent {label}", models.DynamicRecurrent(kind, **options), steps, lambda m: aoq.quantize_dynamic(m), {**attrs, "spec": None, "dtype": "qint8"})
        if kind == "LSTM" and not options:
            run(f"dynamic DynamicRecurrent {label} float16", models.DynamicRecurrent(kind, **options), steps, lambda m: aoq.quantize_dynamic(m, dtype=torch.float16), {**attrs, "spec": None, "dtype": "float16"})
    for kind in ("LSTMCell", "GRUCell", "RNNCell"):
        run(f"dynamic DynamicCell {kind}", models.DynamicCell(kind), steps, lambda m: aoq.quantize_dynamic(m), {"kind": kind, "spec": None, "dtype": "qint8"})
    bags = lambda g: [[torch.randint(0, 10, (7,), generator=g), torch.tensor([0, 3, 3])], [torch.randint(0, 10, (4,), generator=g), torch.tensor([0, 2])]]  # noqa: E731
    for dtype in (torch.quint8, torch.quint4x2):
        run(f"dynamic BagNet {encode(dtype)}", models.BagNet(), bags, lambda m, d=dtype: aoq.quantize_dynamic(m, {nn.EmbeddingBag}, d), {"spec": ["EmbeddingBag"], "dtype": encode(dtype)})
    run("dynamic EmbeddingNet quint8", models.EmbeddingNet(), lambda g: [torch.randint(0, 10, (2, 3), generator=g)], lambda m: aoq.quantize_dynamic(m, {nn.Embedding}, torch.quint8), {"spec": ["Embedding"], "dtype": "quint8"})


@contextlib.contextmanager
def nearest_sqrt():
    """MKL's float32 square root is up to 0.75 ulp off on some processors, where the machine's own is the nearest float.

    It scales the weights of convolutions with batch norm, and where the largest weight of a channel falls on a tie
    (as it does by the observers' formula) that last bit decides whether the weight gets a gradient.
    """
    original = torch.sqrt

    def sqrt(x):
        return original(x) if x.requires_grad else torch.from_numpy(np.sqrt(x.numpy()))

    torch.sqrt = sqrt
    try:
        yield
    finally:
        torch.sqrt = original


def qat(s, name, model, qconfig, shape, classes, steps=20, optimizer=None, freeze=None, qconfig_for=None, slow_path=False):
    gen = rng(name)
    model = initialise(model, gen, False).train()
    start = dict(copy.deepcopy(model.state_dict()))
    fuse = type(model).fuse
    if fuse:
        model = aoq.fuse_modules_qat(model, fuse)
    if qconfig_for:
        for path in qconfig_for:
            model.get_submodule(path).qconfig = QCONFIGS[qconfig]()
    else:
        model.qconfig = QCONFIGS[qconfig]()
    prepared = aoq.prepare_qat(model)
    if slow_path:
        for module in prepared.modules():
            if hasattr(module, "_enable_slow_path_for_better_numerical_stability"):
                module._enable_slow_path_for_better_numerical_stability = True
    prepared_keys = sorted(k for k in prepared.state_dict() if not k.endswith(".eps"))
    options = optimizer or {"lr": 0.05, "momentum": 0.9}
    sgd = torch.optim.SGD(prepared.parameters(), foreach=False, **options)
    batches = [{"x": randn(gen, *shape), "target": torch.randint(0, classes, (shape[0],), generator=gen)} for _ in range(steps)]
    losses, first_grads = [], {}
    for i, batch in enumerate(batches):
        if freeze and i == freeze["observers"]:
            prepared.apply(aoq.disable_observer)
        if freeze and i == freeze["batchNorm"]:
            prepared.apply(torch.ao.nn.intrinsic.qat.freeze_bn_stats)
        sgd.zero_grad()
        loss = F.cross_entropy(prepared(batch["x"]), batch["target"])
        loss.backward()
        if i == 0:
            first_grads = {k: p.grad.clone() for k, p in prepared.named_parameters() if p.grad is not None}
        sgd.step()
        losses.append(float(loss.detach()))
    trained = state_of(prepared)
    test = [randn(gen, *shape)]
    prepared.eval()
    fake_output = prepared(test[0])
    after_eval = state_of(prepared)
    converted = aoq.convert(prepared)
    s.flow(
        name, "qat",
        {"state": start, "batches": batches, "test": test},
        {"model": type(model).__name__, "qconfig": qconfig, "fuse": fuse, "optimizer": options, "freeze": freeze, "qconfigFor": qconfig_for, "slowPath": slow_path},
        {"preparedKeys": prepared_keys, "losses": losses, "firstGrads": first_grads, "trained": trained, "fakeOutput": fake_output, "beforeConvert": after_eval, "converted": state_of(converted), **record(converted, test)},
    )


def training(s):
    with nearest_sqrt():
        train_all(s)


def train_all(s):
    for qconfig in ("qatX86", "qatX86V0", "qatQnnpack"):
        qat(s, f"qat SkipNet {qconfig}", models.SkipNet(), qconfig, [4, 3, 8, 8], 5)
        qat(s, f"qat Mlp {qconfig}", models.Mlp(), qconfig, [8, 6], 4)
    qat(s, "qat MobileBlock qatX86", models.MobileBlock(), "qatX86", [4, 4, 6, 6], 3, steps=10)
    qat(s, "qat SkipNet frozen", models.SkipNet(), "qatX86", [4, 3, 8, 8], 5, freeze={"observers": 12, "batchNorm": 8})
    qat(s, "qat SkipTail conv3 and fc only", SkipTail(), "qatX86", [4, 3, 8, 8], 5, qconfig_for=["quant", "conv3", "fc"])
    qat(s, "qat Mlp qatDefault nesterov", models.Mlp(), "qatDefault", [8, 6], 4, optimizer={"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.001})
    qat(s, "qat Conv1dNet slow path", models.Conv1dNet(), "qatX86", [4, 2, 16], 3, steps=10, slow_path=True)
    qat(s, "qat BnMlp qatX86", models.BnMlp(), "qatX86", [8, 6], 4)
    qat(s, "qat Conv1dNet qatX86", models.Conv1dNet(), "qatX86", [4, 2, 16], 3)
    qat(s, "qat Conv3dNet qatX86", models.Conv3dNet(), "qatX86", [2, 2, 4, 5, 6], 3)


def special_training(s):
    """Dynamic and embedding quantization-aware training: other qconfigs, other tables."""
    def run(name, model, qconfig, mapping, convert_mapping, batches, test, loss_of, attrs):
        gen = rng(name)
        model = initialise(model, gen, False).train()
        start = dict(copy.deepcopy(model.state_dict()))
        model.qconfig = qconfig
        if attrs["qconfigOn"]:
            model.qconfig = None
            model.get_submodule(attrs["qconfigOn"]).qconfig = qconfig
        prepared = aoq.prepare_qat(model, mapping=mapping)
        sgd = torch.optim.SGD(prepared.parameters(), foreach=False, lr=0.05)
        data, losses = batches(gen), []
        for batch in data:
            sgd.zero_grad()
            loss = loss_of(prepared, batch)
            loss.backward()
            sgd.step()
            losses.append(float(loss.detach()))
        trained = state_of(prepared)
        prepared.eval()
        examples = test(gen)
        fake = prepared(*examples)
        after_eval = state_of(prepared)
        converted = aoq.convert(prepared, mapping=convert_mapping)
        s.flow(name, "specialQat", {"state": start, "batches": data, "test": examples}, {"model": type(model).__name__, "optimizer": {"lr": 0.05}, **attrs}, {"losses": losses, "trained": trained, "fakeOutput": fake, "beforeConvert": after_eval, "converted": state_of(converted), "output": converted(*examples)})

    rows = lambda g: [{"x": randn(g, 8, 6), "target": torch.randint(0, 4, (8,), generator=g)} for _ in range(10)]  # noqa: E731
    run("qat dynamic DynamicMlp", models.DynamicMlp(), aoq.default_dynamic_qat_qconfig, aoq.get_default_qat_module_mappings() | {nn.Linear: torch.ao.nn.qat.dynamic.Linear}, aoq.get_default_dynamic_quant_module_mappings(), rows, lambda g: [randn(g, 5, 6)], lambda m, b: F.cross_entropy(m(b["x"]), b["target"]), {"qconfig": "defaultDynamicQatQConfig", "qconfigOn": None, "kind": "dynamic"})
    bags = lambda g: [{"indices": torch.randint(0, 10, (7,), generator=g), "offsets": torch.tensor([0, 3, 4]), "target": torch.randint(0, 3, (3,), generator=g)} for _ in range(10)]  # noqa: E731
    run("qat embedding BagNet", models.BagNet(), aoq.default_embedding_qat_qconfig, aoq.get_embedding_qat_module_mappings(), torch.ao.quantization.quantization_mappings.get_embedding_static_quant_module_mappings(), bags, lambda g: [torch.randint(0, 10, (6,), generator=g), torch.tensor([0, 2])], lambda m, b: F.cross_entropy(m(b["indices"], b["offsets"]), b["target"]), {"qconfig": "defaultEmbeddingQatQConfig", "qconfigOn": "bag", "kind": "embedding"})


def main():
    s = Suite("flows-static", "flows.py", "fbgemm")
    statics(s)
    s.write()
    s = Suite("flows-dynamic", "flows.py", "fbgemm")
    dynamic(s)
    s.write()
    s = Suite("flows-qat", "flows.py", "fbgemm")
    training(s)
    special_training(s)
    s.write()
    for engine in ("x86", "onednn", "qnnpack"):
        s = Suite(f"flows-{engine}", "flows.py", engine)
        qconfig = "qnnpack" if engine == "qnnpack" else "x86"
        static(s, f"static Mlp {engine} engine", models.Mlp(), qconfig, [5, 6])
        static(s, f"static SkipNet {engine} engine", models.SkipNet(), qconfig, [3, 3, 8, 8])
        static(s, f"static Conv1dNet {engine} engine", models.Conv1dNet(), qconfig, [3, 2, 16])
        s.write()


if __name__ == "__main__":
    main()
