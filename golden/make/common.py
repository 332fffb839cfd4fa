"""Shared pieces of the golden-vector generators: encoding, seeding, and the case list of one file.

A generator makes a `Suite`, adds cases to it, and writes it. Every case draws its random numbers
from a generator seeded by the case's own name, so adding or removing a case changes no other case.
"""
import base64
import json
import math
import os
import pathlib
import warnings
import zlib

import numpy as np
import torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

# Another seed and folder make a second, unseen set for the same tests.
SEED = int(os.environ.get("GOLDEN_SEED", "20260"))
OUT_DIR = pathlib.Path(os.environ.get("GOLDEN_OUT") or pathlib.Path(__file__).resolve().parent.parent)

_DTYPES = {
    torch.float32: ("float32", "<f4"),
    torch.float64: ("float64", "<f8"),
    torch.float16: ("float16", "<f2"),
    torch.int8: ("int8", "|i1"),
    torch.uint8: ("uint8", "|u1"),
    torch.int16: ("int16", "<i2"),
    torch.int32: ("int32", "<i4"),
    torch.int64: ("int64", "<i8"),
    torch.bool: ("bool", "|u1"),
}

QDTYPES = {
    torch.qint8: "qint8",
    torch.quint8: "quint8",
    torch.qint32: "qint32",
    torch.quint4x2: "quint4x2",
}

QSCHEMES = {
    torch.per_tensor_affine: "per_tensor_affine",
    torch.per_tensor_symmetric: "per_tensor_symmetric",
    torch.per_channel_affine: "per_channel_affine",
    torch.per_channel_symmetric: "per_channel_symmetric",
    torch.per_channel_affine_float_qparams: "per_channel_affine_float_qparams",
}


def seed_of(name):
    return (zlib.crc32(name.encode()) ^ SEED) & 0x7FFFFFFF


def rng(name):
    """A random generator that belongs to one case."""
    return torch.Generator().manual_seed(seed_of(name))


def randn(gen, *shape, scale=1.0, shift=0.0):
    return torch.randn(list(shape), generator=gen) * scale + shift


def number(value):
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value == int(value) and abs(value) < 2**53 and not (value == 0 and math.copysign(1, value) < 0) else value


def b64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _plain(tensor):
    name, code = _DTYPES[tensor.dtype]
    data = tensor.detach().contiguous().numpy().astype(code, copy=False)
    return {"dtype": name, "shape": list(tensor.shape), "data": b64(data)}


def unpack_nibbles(tensor):
    """int_repr of quint4x2 gives packed bytes: low nibble = even flat index."""
    packed = tensor.int_repr().contiguous().flatten()
    both = torch.stack([packed & 15, packed >> 4], dim=1).flatten()
    return both[: tensor.numel()].reshape(tensor.shape)


def _quantized(tensor):
    out = {"dtype": QDTYPES[tensor.dtype], "shape": list(tensor.shape)}
    ints = unpack_nibbles(tensor) if tensor.dtype == torch.quint4x2 else tensor.int_repr()
    out["data"] = _plain(ints)["data"]
    out["qscheme"] = QSCHEMES[tensor.qscheme()]
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        out["scale"] = number(tensor.q_scale())
        out["zeroPoint"] = number(tensor.q_zero_point())
    else:
        out["scales"] = _plain(tensor.q_per_channel_scales())
        out["zeroPoints"] = _plain(tensor.q_per_channel_zero_points())
        out["axis"] = tensor.q_per_channel_axis()
    return out


def encode(value):
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return _quantized(value) if value.is_quantized else _plain(value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return number(value)
    if isinstance(value, torch.dtype):
        return QDTYPES.get(value) or _DTYPES[value][0]
    if isinstance(value, torch.qscheme):
        return QSCHEMES[value]
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    raise TypeError(f"cannot encode {type(value)}")


class Suite:
    """The cases of one JSON file."""

    def __init__(self, area, script, engine="x86"):
        self.area = area
        torch.backends.quantized.engine = engine
        self.header = {
            "script": f"golden/make/{script}",
            "torch": torch.__version__.split("+")[0],
            "engine": engine,
            "seed": SEED,
        }
        self.cases = []
        self.names = set()

    def case(self, name, op, inputs, attrs, expected):
        self._add(name, {"op": op, "inputs": inputs, "attrs": attrs, "expected": expected})

    def flow(self, name, flow, inputs, attrs, expected):
        self._add(name, {"flow": flow, "inputs": inputs, "attrs": attrs, "expected": expected})

    def throws(self, name, op, inputs, attrs, run):
        """A case that PyTorch must refuse."""
        try:
            run()
        except Exception as error:  # noqa: BLE001 - any refusal counts
            message = str(error).strip().split("\n")[0][:160]
            self.case(name, op, inputs, attrs, {"throws": message})
            return
        raise AssertionError(f"{name}: PyTorch accepted what was meant to be refused")

    def _add(self, name, body):
        if name in self.names:
            raise ValueError(f"two cases are called {name}")
        self.names.add(name)
        self.cases.append({"name": name, **{k: encode(v) for k, v in body.items()}})

    def write(self):
        path = OUT_DIR / f"{self.area}.json"
        lines = ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in self.cases)
        header = json.dumps(self.header)
        path.write_text(f'{{"header": {header}, "cases": [\n{lines}\n]}}\n')
        size = path.stat().st_size
        print(f"{path.name}: {len(self.cases)} cases, {size / 1024:.0f} KiB", flush=True)
        if size > 1.6e6:
            raise AssertionError(f"{path.name} is too large; split it")
