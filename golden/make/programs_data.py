"""Weights and batches of the programs' models: seeded by the model's id, and stored as values.

All values lie on a coarse binary grid.  Sums of products are then exact in float32 for the first two
or three layers, whatever the order of summation, so that what observers see does not depend on it.
"""
import json

import torch
import torch.nn as nn

from common import OUT_DIR, SEED, encode, rng, seed_of
from programs_models import MODELS

CALIBRATION_BATCHES = 3
PROGRAMS = OUT_DIR / "programs"
WEIGHT_STEP = 2.0**-6
INPUT_STEP = 2.0**-3


def on_grid(tensor, step):
    return torch.round(tensor / step) * step


def _batch(name, inputs):
    gen = rng(name)
    out = []
    for spec in inputs:
        kind, shape = spec[0], spec[1]
        if kind == "int":
            out.append(torch.randint(0, spec[2], shape, generator=gen))
        elif kind == "offsets":
            out.append(torch.tensor(shape))
        else:
            out.append(on_grid(torch.randn(shape, generator=gen) * 1.5 + 0.25, INPUT_STEP))
    return tuple(out)


def _lively_norms(model, gen):
    """Batch norms straight from the constructor are almost the identity; make them matter."""
    for module in model.modules():
        if isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm)):
            with torch.no_grad():
                if module.weight is not None:
                    module.weight.copy_(torch.rand(module.weight.shape, generator=gen) + 0.5)
                    module.bias.copy_(torch.randn(module.bias.shape, generator=gen) * 0.3)
                if getattr(module, "running_mean", None) is not None:
                    module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=gen) * 0.2)
                    module.running_var.copy_(torch.rand(module.running_var.shape, generator=gen) + 0.5)


def make_model(model_id):
    """A fresh float model (eval mode) with its stored weights."""
    torch.manual_seed(seed_of(model_id))
    model = MODELS[model_id][0]()
    _lively_norms(model, rng(f"{model_id} norms"))
    with torch.no_grad():
        for value in list(model.parameters()) + [b for b in model.buffers() if b.is_floating_point()]:
            value.copy_(on_grid(value, WEIGHT_STEP))
    return model.eval()


def batches(model_id):
    """(calibration batches, test batch); the first calibration batch is the example input."""
    inputs = MODELS[model_id][1]
    calibration = [_batch(f"{model_id} calibration {k}", inputs) for k in range(CALIBRATION_BATCHES)]
    return calibration, _batch(f"{model_id} test", inputs)


def dump(path, header, body):
    """Readable JSON: top-level keys on lines of their own, lists one entry a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [f'"header": {json.dumps(header)}']
    parts += [f'"{key}": {_layout(value)}' for key, value in body.items()]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def _compact(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _layout(value):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(_compact(v) for v in value) + "\n]"
    if isinstance(value, dict) and "data" in value:  # a tensor
        return _compact(value)
    if isinstance(value, dict) and any(isinstance(v, (list, dict)) for v in value.values()):
        return "{\n" + ",\n".join(f'"{k}": {_layout(v)}' for k, v in value.items()) + "\n}"
    return _compact(value)


def write_model(model_id):
    calibration, test = batches(model_id)
    model = make_model(model_id)
    header = {"script": "golden/make/programs.py", "torch": torch.__version__.split("+")[0], "seed": SEED}
    with torch.no_grad():
        float_output = model(*test)
    dump(PROGRAMS / "models" / f"{model_id}.json", header, {
        "model": model_id,
        "state": {name: encode(value) for name, value in model.state_dict().items()},
        "calibration": [{"inputs": encode(list(b))} for b in calibration],
        "test": {"inputs": encode(list(test))},
        "floatOutput": encode(float_output),
    })
