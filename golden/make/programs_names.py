"""One neutral spelling for PyTorch's modules, functions and methods.

`type_name` keeps PyTorch's own short prefixes (nn., nni., nniqat., F., torch., method:) and is what
mappings and backend configs use; `op_name` drops the difference between a module, a function and a
method of one operation, so that a captured graph without module nodes can be compared.
"""
import operator
import re

import torch
import torch.ao.nn.intrinsic as nni
import torch.nn as nn
import torch.nn.functional as F

_MODULE_PREFIXES = [
    ("torch.ao.nn.intrinsic.quantized.dynamic", "nniqd"),
    ("torch.ao.nn.intrinsic.quantized", "nniq"),
    ("torch.ao.nn.intrinsic.qat", "nniqat"),
    ("torch.ao.nn.intrinsic", "nni"),
    ("torch.ao.nn.quantized.reference", "nnqr"),
    ("torch.ao.nn.quantized.dynamic", "nnqd"),
    ("torch.ao.nn.quantized", "nnq"),
    ("torch.ao.nn.qat.dynamic", "nnqatd"),
    ("torch.ao.nn.qat", "nnqat"),
    ("torch.ao.nn.quantizable", "nnqa"),
    ("torch.nn", "nn"),
    ("torch.ao.quantization", "ao"),
]

_OP_PREFIXES = {
    "nn": "", "nni": "", "nnqat": "qat.", "nniqat": "qat.", "nnqatd": "qat_dynamic.",
    "nnq": "quantized.", "nniq": "quantized.", "nnqd": "quantized_dynamic.",
    "nniqd": "quantized_dynamic.", "nnqr": "",
    "F": "", "torch": "", "operator": "", "method": "", "Tensor": "", "builtin": "",
}

# Class names whose parts stand in another order, or whose capitals do not split words.
_SPECIAL = [
    (r"^Conv(Transpose)?Bn(ReLU)?([123])d$", lambda m: f"conv{'_transpose' if m[1] else ''}{m[3]}d_bn{'_relu' if m[2] else ''}"),
    (r"^Conv(Add)?(ReLU)?([123])d$", lambda m: f"conv{m[3]}d{'_add' if m[1] else ''}{'_relu' if m[2] else ''}"),
    (r"^BNReLU([123])d$", lambda m: f"batch_norm{m[1]}d_relu"),
    (r"^LinearReLU$", lambda m: "linear_relu"),
    (r"^LinearLeakyReLU$", lambda m: "linear_leaky_relu"),
    (r"^LinearTanh$", lambda m: "linear_tanh"),
    (r"^LinearBn1d$", lambda m: "linear_bn1d"),
    (r"^(LSTM|GRU|RNN)Cell$", lambda m: f"{m[1].lower()}_cell"),
    (r"^(LSTM|GRU|RNN|ELU|PReLU|ReLU|ReLU6|GELU|SiLU)$", lambda m: m[1].lower()),
    (r"^LeakyReLU$", lambda m: "leaky_relu"),
]

_FUNCTION_HOMES = [("F", F), ("operator", operator), ("torch", torch)]


def _functions():
    table = {}
    for prefix, home in _FUNCTION_HOMES:
        for name in dir(home):
            value = getattr(home, name)
            if callable(value) and not isinstance(value, type) and not name.startswith("__"):
                table.setdefault(id(value), f"{prefix}.{name}")
    table[id(getattr)] = "builtin.getattr"
    table[id(torch.Tensor.add)] = "Tensor.add"
    return table


FUNCTION_NAMES = _functions()


def snake(name):
    for pattern, spell in _SPECIAL:
        found = re.match(pattern, name)
        if found:
            return spell(found)
    name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name)
    return name.lower()


def type_name(target):
    """nn.Conv2d, nniqat.ConvBn2d, F.relu, torch.add, operator.add, method:view, quantized.add ..."""
    if isinstance(target, str):
        return f"method:{target}"
    if isinstance(target, type):
        for path, prefix in _MODULE_PREFIXES:
            if target.__module__.startswith(path):
                return f"{prefix}.{target.__name__}"
        return target.__name__
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return str(target)
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"higher_order.{target.name()}"
    if id(target) in FUNCTION_NAMES:
        return FUNCTION_NAMES[id(target)]
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', target)}"


def op_name(target):
    """conv2d, conv2d_relu, qat.conv2d_bn, quantized.conv2d_relu, quantize_per_tensor, add ..."""
    if isinstance(target, torch._ops.OpOverload):
        space, name = target._schema.name.split("::")
        return f"quantized.{name}" if space == "quantized" else name
    if isinstance(target, torch._ops.OpOverloadPacket):
        space, name = target._qualified_op_name.split("::")
        return f"quantized.{name}" if space == "quantized" else name
    full = type_name(target)
    if isinstance(target, torch._ops.HigherOrderOperator):
        return target.name()
    prefix, _, name = full.replace("method:", "method.").rpartition(".")
    if isinstance(target, type):
        name = snake(name)
    if prefix == "operator" and name in ("iadd", "imul"):
        name = name[1:] + "_"
    return _OP_PREFIXES.get(prefix, "") + name


_TYPES = {"nn": nn, "nni": nni, "F": F, "torch": torch, "operator": operator}


def find_type(spelled):
    """The class, function or method string a mapping's key stands for."""
    if spelled.startswith("method:"):
        return spelled[len("method:"):]
    prefix, _, name = spelled.partition(".")
    return getattr(_TYPES[prefix], name)
