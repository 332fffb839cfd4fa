"""Observers, fake quantizes and qconfigs as data, in both directions.

Cases name a qconfig (`default_qconfig`, `x86`, `qat:qnnpack`) or spell its two observers out; the
same JSON is what a test builds its own qconfig from.
"""
import torch
import torch.ao.quantization as aoq

from common import encode, number

DTYPES = {
    "quint8": torch.quint8, "qint8": torch.qint8, "qint32": torch.qint32, "quint4x2": torch.quint4x2,
    "int8": torch.int8, "uint8": torch.uint8, "int32": torch.int32, "int16": torch.int16,
    "float16": torch.float16, "float32": torch.float32,
}
QSCHEMES = {
    name: getattr(torch, name)
    for name in ("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine",
                 "per_channel_symmetric", "per_channel_affine_float_qparams")
}
# JSON key -> Python keyword of an observer constructor
KEYWORDS = {
    "dtype": "dtype", "qscheme": "qscheme", "quantMin": "quant_min", "quantMax": "quant_max",
    "reduceRange": "reduce_range", "eps": "eps", "chAxis": "ch_axis", "isDynamic": "is_dynamic",
    "averagingConstant": "averaging_constant", "bins": "bins", "scale": "scale",
    "zeroPoint": "zero_point", "observer": "observer",
}
ENGINES = ("x86", "fbgemm", "qnnpack", "onednn")


def python_value(key, value):
    if key == "dtype":
        return DTYPES[value]
    if key == "qscheme":
        return QSCHEMES[value]
    return value


def make_observer(spec, home=aoq):
    """{"class": "MinMaxObserver", "dtype": "quint8", ...} -> a with_args constructor."""
    kwargs = {KEYWORDS[k]: python_value(k, v) for k, v in spec.items() if k not in ("class", "observer")}
    if "observer" in spec:
        kwargs["observer"] = getattr(home, spec["observer"])
    return getattr(home, spec["class"]).with_args(**kwargs)


def make_qconfig(spec):
    if spec is None:
        return None
    if isinstance(spec, dict):
        return aoq.QConfig(make_observer(spec["activation"]), make_observer(spec["weight"]))
    if spec.startswith("qat:"):
        return aoq.get_default_qat_qconfig(spec[4:])
    if spec in ENGINES:
        return aoq.get_default_qconfig(spec)
    if hasattr(aoq, spec):
        return getattr(aoq, spec)
    return getattr(aoq.qconfig, spec)


def _core(module):
    fields = [("dtype", "dtype"), ("qscheme", "qscheme"), ("quantMin", "quant_min"), ("quantMax", "quant_max"),
              ("chAxis", "ch_axis"), ("reduceRange", "reduce_range"), ("isDynamic", "is_dynamic"),
              ("averagingConstant", "averaging_constant"), ("bins", "bins")]
    out = {}
    for key, name in fields:
        value = getattr(module, name, None)
        if value is not None:
            out[key] = encode(value)
    eps = getattr(module, "eps", None)
    if isinstance(eps, torch.Tensor):
        out["eps"] = number(eps.item())
    return out


def describe_observer(module):
    """Class and settings of an observer or fake quantize instance; no statistics."""
    out = {"class": type(module).__name__, **_core(module)}
    inner = getattr(module, "activation_post_process", None)
    if inner is not None:
        out["observer"] = describe_observer(inner)
    return out


def describe_constructor(constructor):
    if constructor is None:
        return None
    module = constructor()
    return {"class": "Identity"} if isinstance(module, torch.nn.Identity) else describe_observer(module)


def describe_qconfig(qconfig):
    if qconfig is None:
        return None
    return {"activation": describe_constructor(qconfig.activation), "weight": describe_constructor(qconfig.weight)}


def _tensor_or_number(value):
    if not isinstance(value, torch.Tensor):
        return number(value)
    return number(value.flatten()[0]) if value.numel() == 1 else encode(value)


def statistics(module):
    """What an observer has seen, and the qparams it gives."""
    out = {}
    source = getattr(module, "activation_post_process", module)
    for key, name in (("minVal", "min_val"), ("maxVal", "max_val")):
        value = getattr(source, name, None)
        if isinstance(value, torch.Tensor) and value.numel():
            out[key] = _tensor_or_number(value)
    try:
        scale, zero_point = module.calculate_qparams()[:2]
    except Exception:  # placeholders and dynamic observers have none
        return out
    out["scale"] = _tensor_or_number(scale)
    out["zeroPoint"] = _tensor_or_number(zero_point)
    return out
