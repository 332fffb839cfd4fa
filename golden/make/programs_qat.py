"""Makes the training cases: SGD steps of a fake-quantized model from stored weights and batches.

Recorded: the loss of every step, each observer's final qparams, the state dict after training, and
the converted program with its outputs.
"""
import copy

import torch
import torch.ao.quantization as aoq
import torch.nn.functional as F
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx

from common import SEED, encode, number, rng
from programs_data import INPUT_STEP, PROGRAMS, batches, dump, make_model, on_grid
from programs_fx import BACKENDS, make_mapping
from programs_record import ObserverTable, describe_node, describe_program, op_counts
from programs_observers import statistics

STEPS = 20
BATCHES = 4


def fx(name, model, mapping, engine="fbgemm", **options):
    return {"name": name, "mode": "fx", "flow": "qat", "model": model, "engine": engine, "mapping": mapping,
            "steps": STEPS, "learningRate": 0.02, **options}


def pt2e(name, model, quantizer, **options):
    return {"name": name, "mode": "pt2e", "flow": "qat", "model": model, "engine": "fbgemm", "quantizer": quantizer,
            "steps": STEPS, "learningRate": 0.02, **options}


XNNPACK = {"kind": "xnnpack", "global": {"isQat": True}}
XNNPACK_C = {"kind": "xnnpack", "global": {"isQat": True, "isPerChannel": True}}
FAKE_Q = {
    "activation": {"class": "FakeQuantize", "observer": "MovingAverageMinMaxObserver", "dtype": "quint8", "quantMin": 0, "quantMax": 255},
    "weight": {"class": "FakeQuantize", "observer": "MinMaxObserver", "dtype": "qint8", "qscheme": "per_tensor_symmetric",
               "quantMin": -128, "quantMax": 127},
}

CASES = [
    fx("fx-mlp", "mlp", {"default": "fbgemm"}),
    fx("fx-conv-bn", "conv-bn", {"default": "fbgemm"}),
    fx("fx-conv-bn-relu", "conv-bn-relu", {"default": "fbgemm"}),
    fx("fx-conv-bn-relu-qnnpack", "conv-bn-relu", {"default": "qnnpack"}, "qnnpack", backendConfig="qnnpack"),
    fx("fx-small-cnn", "small-cnn", {"default": "fbgemm"}),
    fx("fx-res-block", "res-block", {"default": "fbgemm"}),
    fx("fx-linear-bn", "linear-bn", {"default": "fbgemm"}),
    fx("error-fx-conv-transpose-bn", "conv-transpose-bn", {"default": "fbgemm"}, throws=True),
    fx("fx-fixed-modules", "fixed-modules", {"default": "fbgemm"}),
    fx("fx-fake-quantize-mlp", "mlp", {"global": FAKE_Q}),
    fx("fx-freeze-conv-bn-relu", "conv-bn-relu", {"default": "fbgemm"}, freezeAfter=10),
    fx("fx-depthwise", "depthwise", {"default": "fbgemm"}),
    pt2e("pt2e-mlp", "mlp", XNNPACK),
    pt2e("pt2e-conv-bn", "conv-bn", XNNPACK),
    pt2e("pt2e-conv-bn-relu", "conv-bn-relu", XNNPACK),
    pt2e("pt2e-per-channel-conv-bn-relu", "conv-bn-relu", XNNPACK_C),
    pt2e("pt2e-small-cnn", "small-cnn", XNNPACK),
    pt2e("pt2e-per-channel-res-block", "res-block", XNNPACK_C),
    pt2e("pt2e-conv-transpose-bn", "conv-transpose-bn", XNNPACK),
    pt2e("pt2e-depthwise", "depthwise", XNNPACK),
]


def training_batches(case, model):
    """Inputs made like the calibration batches, and targets near the float model's outputs."""
    gen = rng(f"{case['model']} training")
    calibration, _ = batches(case["model"])
    shape = calibration[0][0].shape
    out = []
    for _ in range(BATCHES):
        x = on_grid(torch.randn(shape, generator=gen) * 1.5 + 0.25, INPUT_STEP)
        with torch.no_grad():
            y = copy.deepcopy(model)(x)
        out.append((x, on_grid(y + torch.randn(y.shape, generator=gen) * 0.3, INPUT_STEP)))
    return out


def train(case, prepared, data):
    """Plain SGD on the mean squared error; batch k % BATCHES in step k."""
    optimizer = torch.optim.SGD([p for p in prepared.parameters() if p.requires_grad], lr=case["learningRate"])
    losses = []
    for step in range(case["steps"]):
        if step == case.get("freezeAfter"):
            prepared.apply(aoq.disable_observer)
            prepared.apply(torch.ao.nn.intrinsic.qat.freeze_bn_stats)
        x, y = data[step % BATCHES]
        optimizer.zero_grad()
        loss = F.mse_loss(prepared(x), y)
        loss.backward()
        optimizer.step()
        losses.append(number(loss.item()))
    return losses


def module_observers(prepared):
    """Weight fake quantizes that live inside modules, by path."""
    return [{"module": name, "statistics": statistics(m)} for name, m in prepared.named_modules() if name.endswith("weight_fake_quant")]


def prepare_fx_qat(case, model, example):
    return prepare_qat_fx(model.train(), make_mapping(case["mapping"], is_qat=True), example,
                          backend_config=BACKENDS[case.get("backendConfig", "native")]())


def prepare_pt2e_qat(case, model, example):
    from programs_quantizers import make_quantizer
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    exported = torch.export.export(model.train(), example, strict=True).module(check_guards=False)
    return prepare_qat_pt2e(exported, make_quantizer(case["quantizer"]))


def convert(case, prepared):
    if case["mode"] == "fx":
        return convert_fx(prepared.eval(), backend_config=BACKENDS[case.get("backendConfig", "native")]())
    from torchao.quantization.pt2e import move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e
    move_exported_model_to_eval(prepared)
    return convert_pt2e(prepared)


def prepared_nodes(prepared):
    table = ObserverTable()
    nodes = [describe_node(prepared, n, {}, table) for n in prepared.graph.nodes]
    return nodes, table


def header(case):
    return {"script": "golden/make/programs.py", "torch": torch.__version__.split("+")[0], "torchao": "0.19.0",
            "engine": case["engine"], "seed": SEED}


def make_refused(case):
    calibration, _ = batches(case["model"])
    prepare = prepare_fx_qat if case["mode"] == "fx" else prepare_pt2e_qat
    try:
        prepare(case, make_model(case["model"]), calibration[0])
    except Exception as error:
        body = {"throws": type(error).__name__, "message": str(error).split("\n")[0][:200]}
        dump(PROGRAMS / "qat" / f"{case['name']}.json", header(case), {"case": case, **body})
        return
    raise AssertionError(f"{case['name']}: PyTorch accepted what was meant to be refused")


def make_case(case):
    if case.get("throws"):
        make_refused(case)
        return
    torch.backends.quantized.engine = case["engine"]
    model = make_model(case["model"])
    calibration, test = batches(case["model"])
    data = training_batches(case, model)
    prepare = prepare_fx_qat if case["mode"] == "fx" else prepare_pt2e_qat
    prepared = prepare(case, copy.deepcopy(model), calibration[0])
    losses = train(case, prepared, data)
    nodes, table = prepared_nodes(prepared)
    body = {
        "training": [{"input": encode(x), "target": encode(y)} for x, y in data],
        "losses": losses,
        "prepared": {"counts": op_counts(nodes), "nodes": nodes, "observers": table.rows, "weightObservers": module_observers(prepared)},
        "state": {name: encode(p) for name, p in prepared.named_parameters()},
        "batchNorm": {name: encode(b) for name, b in prepared.named_buffers() if "running_" in name},
    }
    body["converted"] = describe_program(convert(case, prepared), test, known=set(model.state_dict()))
    dump(PROGRAMS / "qat" / f"{case['name']}.json", header(case), {"case": case, **body})
