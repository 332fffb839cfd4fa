"""Makes the quantize_ cases of torchao: weights after quantization, outputs, and its QAT steps."""
import torch
import torch.nn.functional as F
from torchao.quantization import (
    FqnToConfig, Int4WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig, Int8DynamicActivationIntxWeightConfig,
    Int8StaticActivationInt8WeightConfig, Int8WeightOnlyConfig, IntxWeightOnlyConfig, PerAxis, PerGroup, PerRow, PerTensor, quantize_,
)
from torchao.quantization.qat import IntxFakeQuantizeConfig, QATConfig
from torchao.quantization.quant_primitives import MappingType

from common import SEED, encode, number
from programs_data import PROGRAMS, batches, dump, make_model
from programs_qat import BATCHES, training_batches

CONFIGS = {
    "Int8WeightOnlyConfig": Int8WeightOnlyConfig,
    "Int8DynamicActivationInt8WeightConfig": Int8DynamicActivationInt8WeightConfig,
    "Int8DynamicActivationIntxWeightConfig": Int8DynamicActivationIntxWeightConfig,
    "Int8StaticActivationInt8WeightConfig": Int8StaticActivationInt8WeightConfig,
    "IntxWeightOnlyConfig": IntxWeightOnlyConfig,
    "Int4WeightOnlyConfig": Int4WeightOnlyConfig,
}
KEYWORDS = {
    "granularity": "granularity", "weightGranularity": "weight_granularity", "weightDtype": "weight_dtype",
    "actMappingType": "act_mapping_type", "weightMappingType": "weight_mapping_type", "mappingType": "mapping_type",
    "reduceRange": "reduce_range", "groupSize": "group_size", "actQuantScale": "act_quant_scale",
    "actQuantZeroPoint": "act_quant_zero_point",
}
INT_TYPES = {f"int{n}": getattr(torch, f"int{n}") for n in range(1, 9)}
MAPPINGS = {"symmetric": MappingType.SYMMETRIC, "asymmetric": MappingType.ASYMMETRIC,
            "symmetricNoClippingErr": MappingType.SYMMETRIC_NO_CLIPPING_ERR}


def granularity(spec):
    kinds = {"perTensor": PerTensor, "perRow": PerRow}
    if spec["kind"] in kinds:
        return kinds[spec["kind"]]()
    return PerGroup(spec["groupSize"]) if spec["kind"] == "perGroup" else PerAxis(spec["axis"])


def value_of(key, value):
    if "ranularity" in key:
        return granularity(value)
    if "appingType" in key:
        return MAPPINGS[value]
    if key == "weightDtype":
        return INT_TYPES[value]
    if key in ("actQuantScale", "actQuantZeroPoint"):
        return torch.tensor(value)
    return value


def make_config(spec):
    if spec is None:
        return None
    if spec["kind"] == "FqnToConfig":
        return FqnToConfig({name: make_config(c) for name, c in spec["map"]})
    return CONFIGS[spec["kind"]](**{KEYWORDS[k]: value_of(k, v) for k, v in spec.items() if k != "kind"})


def fake_quantize_config(spec):
    if spec is None:
        return None
    options = {"is_symmetric": spec["isSymmetric"]} if "isSymmetric" in spec else {}
    if "groupSize" in spec:
        return IntxFakeQuantizeConfig(INT_TYPES[spec["dtype"]], group_size=spec["groupSize"], **options)
    return IntxFakeQuantizeConfig(INT_TYPES[spec["dtype"]], spec["granularity"], **options)


def ptq(name, config, model="wide-mlp", **options):
    return {"name": name, "mode": "quantize", "model": model, "config": config, **options}


def qat(name, **options):
    return {"name": name, "mode": "quantize", "flow": "qat", "model": "wide-mlp", "steps": 20, "learningRate": 0.02, **options}


ROW, TENSOR = {"kind": "perRow"}, {"kind": "perTensor"}
GROUP32, GROUP16 = {"kind": "perGroup", "groupSize": 32}, {"kind": "perGroup", "groupSize": 16}
AXIS0 = {"kind": "perAxis", "axis": 0}


def intx(dtype, how, **more):
    return {"kind": "IntxWeightOnlyConfig", "weightDtype": dtype, "granularity": how, **more}


def dynamic_intx(dtype, how, **more):
    return {"kind": "Int8DynamicActivationIntxWeightConfig", "weightDtype": dtype, "weightGranularity": how, **more}


CASES = [
    ptq("int8-weight-only", {"kind": "Int8WeightOnlyConfig"}),
    ptq("int8-weight-only-per-tensor", {"kind": "Int8WeightOnlyConfig", "granularity": TENSOR}),
    ptq("int8-weight-only-filter", {"kind": "Int8WeightOnlyConfig"}, filter="fc1"),
    ptq("int8-dynamic", {"kind": "Int8DynamicActivationInt8WeightConfig"}),
    ptq("int8-dynamic-per-tensor", {"kind": "Int8DynamicActivationInt8WeightConfig", "granularity": TENSOR}),
    ptq("int8-dynamic-asymmetric", {"kind": "Int8DynamicActivationInt8WeightConfig", "actMappingType": "asymmetric"}),
    ptq("int8-dynamic-reduced-range", {"kind": "Int8DynamicActivationInt8WeightConfig", "reduceRange": True}),
    ptq("int8-static", {"kind": "Int8StaticActivationInt8WeightConfig", "actQuantScale": [[0.05]], "granularity": TENSOR}, filter="fc1"),
    ptq("int4-weight-only-group", intx("int4", GROUP32)),
    ptq("int4-weight-only-group-asymmetric", intx("int4", GROUP16, mappingType="asymmetric")),
    ptq("int4-weight-only-no-clipping", intx("int4", GROUP32, mappingType="symmetricNoClippingErr")),
    ptq("int8-weight-only-axis", intx("int8", AXIS0)),
    ptq("int3-weight-only-axis", intx("int3", AXIS0)),
    ptq("int2-weight-only-group", intx("int2", GROUP16)),
    ptq("int5-weight-only-nested", intx("int5", AXIS0), "nested"),
    ptq("int8-dynamic-int4-group", dynamic_intx("int4", GROUP32)),
    ptq("int8-dynamic-int8-axis", dynamic_intx("int8", AXIS0)),
    ptq("int8-dynamic-int4-asymmetric", dynamic_intx("int4", GROUP32, weightMappingType="asymmetric")),
    ptq("fqn-exact-and-regex", {"kind": "FqnToConfig", "map": [
        ["left.fc1", {"kind": "Int8WeightOnlyConfig"}], ["re:left\\.fc\\d", intx("int4", AXIS0)],
        ["re:.*fc2", intx("int3", AXIS0)], ["out", None]]}, "nested"),
    ptq("fqn-null-before-regex", {"kind": "FqnToConfig", "map": [["fc1", None], ["re:fc\\d", {"kind": "Int8WeightOnlyConfig"}]]}),
    qat("qat-dynamic-intx", base=dynamic_intx("int4", GROUP32)),
    qat("qat-intx-weight-only", base=intx("int4", GROUP32)),
    qat("qat-explicit", activation={"dtype": "int8", "granularity": "per_token", "isSymmetric": False},
        weight={"dtype": "int4", "groupSize": 32}, base=None),
    qat("qat-per-channel", weight={"dtype": "int8", "granularity": "per_channel"}, base=None),
]


def describe_weights(model):
    """Quantized weights by module path; float ones are left out."""
    out = {}
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if hasattr(weight, "qdata"):
            out[name] = {"class": type(weight).__name__, "qdata": encode(weight.qdata), "scale": encode(weight.scale),
                         "zeroPoint": encode(weight.zero_point), "blockSize": list(weight.block_size),
                         "dequantized": encode(weight.dequantize())}
    return out


def apply_config(model, case):
    config = make_config(case["config"])
    if case["config"]["kind"] == "FqnToConfig":
        quantize_(model, config, filter_fn=None)
    elif "filter" in case:
        quantize_(model, config, lambda module, name: isinstance(module, torch.nn.Linear) and name == case["filter"])
    else:
        quantize_(model, config)


def make_ptq(case, model, test):
    apply_config(model, case)
    with torch.no_grad():
        return {"weights": describe_weights(model), "output": encode(model(*test))}


def make_qat(case, model, test):
    data = training_batches(case, model)
    explicit = {k: fake_quantize_config(case.get(k)) for k in ("activation", "weight")}
    base = make_config(case["base"])
    quantize_(model, QATConfig(base, step="prepare") if base else
              QATConfig(activation_config=explicit["activation"], weight_config=explicit["weight"], step="prepare"))
    with torch.no_grad():
        first = encode(model(*test))
    optimizer = torch.optim.SGD(model.parameters(), lr=case["learningRate"])
    losses = []
    for step in range(case["steps"]):
        x, y = data[step % BATCHES]
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(number(loss.item()))
    state = {name: encode(p) for name, p in model.named_parameters()}
    classes = {name: type(m).__name__ for name, m in model.named_modules() if name}
    with torch.no_grad():
        trained = encode(model(*test))
        quantize_(model, QATConfig(base, step="convert"))
        converted = encode(model(*test))
    return {"training": [{"input": encode(x), "target": encode(y)} for x, y in data], "preparedClasses": classes, "preparedOutput": first,
            "losses": losses, "state": state, "trainedOutput": trained, "weights": describe_weights(model), "output": converted}


def make_case(case):
    _, test = batches(case["model"])
    model = make_model(case["model"])
    body = (make_qat if case.get("flow") == "qat" else make_ptq)(case, model, test)
    header = {"script": "golden/make/programs.py", "torch": torch.__version__.split("+")[0], "torchao": "0.19.0", "seed": SEED}
    dump(PROGRAMS / "quantize" / f"{case['name']}.json", header, {"case": case, **body})
