"""Makes the FX cases: prepare, calibrate, convert to the reference program and to the lowered one."""
import copy

import torch
import torch.ao.nn.quantized as nnq
import torch.ao.quantization as aoq
from torch.ao.quantization.fx._equalize import default_equalization_qconfig
from torch.ao.quantization.backend_config import (
    get_fbgemm_backend_config, get_native_backend_config, get_onednn_backend_config,
    get_qnnpack_backend_config,
)
from torch.ao.quantization.backend_config.x86 import get_x86_backend_config
from torch.ao.quantization.fx.custom_config import ConvertCustomConfig, PrepareCustomConfig
from torch.ao.quantization.qconfig_mapping import get_default_qat_qconfig_mapping, get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, convert_to_reference_fx, prepare_fx, prepare_qat_fx

from common import SEED, encode
from programs_data import PROGRAMS, batches, dump, make_model
from programs_names import find_type
from programs_observers import describe_qconfig, make_qconfig
from programs_record import ObserverTable, describe_node, describe_program, op_counts
import programs_models

BACKENDS = {
    "native": get_native_backend_config, "x86": get_x86_backend_config, "fbgemm": get_fbgemm_backend_config,
    "qnnpack": get_qnnpack_backend_config, "onednn": get_onednn_backend_config,
}


def make_mapping(spec, is_qat=False):
    """{"default": backend?, "global": qconfig?, "objectType": [[type, qconfig]...], ...} in setter order."""
    if "default" in spec:
        get = get_default_qat_qconfig_mapping if is_qat else get_default_qconfig_mapping
        mapping = get(spec["default"])
    else:
        mapping = aoq.QConfigMapping()
    if "global" in spec:
        mapping.set_global(make_qconfig(spec["global"]))
    for kind, qconfig in spec.get("objectType", []):
        mapping.set_object_type(find_type(kind), make_qconfig(qconfig))
    for pattern, qconfig in spec.get("moduleNameRegex", []):
        mapping.set_module_name_regex(pattern, make_qconfig(qconfig))
    for name, qconfig in spec.get("moduleName", []):
        mapping.set_module_name(name, make_qconfig(qconfig))
    for name, kind, index, qconfig in spec.get("moduleNameObjectTypeOrder", []):
        mapping.set_module_name_object_type_order(name, find_type(kind), index, make_qconfig(qconfig))
    return mapping


class ObservedScale(torch.nn.Module):
    """The observed form of the custom module Scale."""

    def __init__(self, fc):
        super().__init__()
        self.fc = fc

    def forward(self, x):
        return self.fc(x)

    @classmethod
    def from_float(cls, module):
        observed = cls(module.fc)
        observed.qconfig = module.qconfig
        return observed


class QuantizedScale(torch.nn.Module):
    """Its quantized form: takes and gives quint8, with the output qparams that were observed."""

    def __init__(self, fc):
        super().__init__()
        self.fc = fc

    def forward(self, x):
        return self.fc(x)

    @classmethod
    def from_observed(cls, observed):
        observed.fc.qconfig = observed.qconfig
        observed.fc.activation_post_process = observed.activation_post_process
        return cls(nnq.Linear.from_float(observed.fc))


def make_prepare_custom(spec, example):
    config = PrepareCustomConfig()
    for name, mapping in spec.get("standaloneModuleNames", []):
        config.set_standalone_module_name(name, make_mapping(mapping) if mapping else None, example, None, None)
    for kind, mapping in spec.get("standaloneModuleClasses", []):
        config.set_standalone_module_class(getattr(programs_models, kind), make_mapping(mapping) if mapping else None, example, None, None)
    if "nonTraceableModuleNames" in spec:
        config.set_non_traceable_module_names(spec["nonTraceableModuleNames"])
    if "nonTraceableModuleClasses" in spec:
        config.set_non_traceable_module_classes([getattr(programs_models, k) for k in spec["nonTraceableModuleClasses"]])
    if "inputQuantizedIndexes" in spec:
        config.set_input_quantized_indexes(spec["inputQuantizedIndexes"])
    if "outputQuantizedIndexes" in spec:
        config.set_output_quantized_indexes(spec["outputQuantizedIndexes"])
    if spec.get("customScale"):
        config.set_float_to_observed_mapping(programs_models.Scale, ObservedScale)
    if "preservedAttributes" in spec:
        config.set_preserved_attributes(spec["preservedAttributes"])
    return config


def quantized_test_input(case, test):
    """Inputs promised to be quantized are quantized with the case's own qparams."""
    given = case.get("testInputQParams")
    if given is None:
        return test
    return tuple(torch.quantize_per_tensor(t, g["scale"], g["zeroPoint"], torch.quint8) if g else t
                 for t, g in zip(test, given))


def node_qconfigs(prepared):
    """Distinct qconfigs, and for every node the number of its qconfig (null: stays float)."""
    by_node = prepared.meta["_observed_graph_module_attrs"].node_name_to_qconfig
    distinct, names = [], {}
    for name, qconfig in by_node.items():
        described = describe_qconfig(qconfig)
        if described is None:
            names[name] = None
            continue
        if described not in distinct:
            distinct.append(described)
        names[name] = distinct.index(described)
    return {"distinct": distinct, "nodes": names}


def prepare_case(case, model, example):
    is_qat = case.get("flow") == "qat"
    mapping = make_mapping(case["mapping"], is_qat)
    custom = make_prepare_custom(case.get("prepareCustom", {}), example)
    if "attributes" in case:
        for name, value in case["attributes"].items():
            setattr(model, name, value)
    backend = BACKENDS[case.get("backendConfig", "native")]()
    if is_qat:
        return prepare_qat_fx(model.train(), mapping, example, custom, backend_config=backend)
    equalization = aoq.QConfigMapping().set_global(default_equalization_qconfig) if case.get("equalization") else None
    return prepare_fx(model, mapping, example, custom, equalization, backend)


def convert_case(case, prepared, reference):
    options = {"backend_config": BACKENDS[case.get("backendConfig", "native")]()}
    if "convertMapping" in case:
        options["qconfig_mapping"] = make_mapping(case["convertMapping"])
    custom = ConvertCustomConfig().set_preserved_attributes(case.get("convertPreservedAttributes", []))
    if case.get("prepareCustom", {}).get("customScale"):
        custom.set_observed_to_quantized_mapping(ObservedScale, QuantizedScale)
    options["convert_custom_config"] = custom
    convert = convert_to_reference_fx if reference else convert_fx
    return convert(copy.deepcopy(prepared), **options)


def children_programs(program, records):
    """Programs of standalone children, by path."""
    for name, child in program.named_children():
        if isinstance(child, torch.fx.GraphModule):
            records[name] = describe_graph_only(child)
    return records


def describe_graph_only(program):
    table = ObserverTable()
    nodes = [describe_node(program, n, {}, table) for n in program.graph.nodes]
    out = {"counts": op_counts(nodes), "nodes": nodes}
    if table.rows:
        out["observers"] = table.rows
    return out


def header(engine):
    return {"script": "golden/make/programs.py", "torch": torch.__version__.split("+")[0], "engine": engine, "seed": SEED}


def describe_both(case, model, prepared, test, prepared_test):
    known = set(dict(model.state_dict()))
    body = {"prepared": describe_program(prepared, prepared_test, known, run_copy=True)}
    body["prepared"]["qconfigs"] = node_qconfigs(prepared)
    for key, reference in (("reference", True), ("lowered", False)):
        program = convert_case(case, prepared, reference)
        runs = reference or case.get("loweredRuns", True)  # no kernel of the engine takes some programs
        body[key] = describe_program(program, test, known) if runs else describe_graph_only(program)
        children = children_programs(program, {})
        if children:
            body[key]["children"] = children
        for name in case.get("convertPreservedAttributes", []):
            body[key].setdefault("preservedAttributes", {})[name] = getattr(program, name)
    children = children_programs(prepared, {})
    if children:
        body["prepared"]["children"] = children
    return body


def make_case(case):
    if case.get("throws"):
        return make_refused(case)
    engine = case["engine"]
    torch.backends.quantized.engine = engine
    model = make_model(case["model"])
    calibration, test = batches(case["model"])
    prepared = prepare_case(case, copy.deepcopy(model), calibration[0])
    with torch.no_grad():
        for batch in calibration:
            prepared(*batch)
    quantized = quantized_test_input(case, test)
    body = describe_both(case, model, prepared, quantized, test)
    if quantized is not test:
        body["quantizedTestInputs"] = encode(list(quantized))
    dump(PROGRAMS / "fx" / f"{case['name']}.json", header(engine), {"case": case, **body})
    return body


def make_refused(case):
    """A case PyTorch refuses at prepare or convert: only the kind of error is data."""
    torch.backends.quantized.engine = case["engine"]
    calibration, _ = batches(case["model"])
    try:
        convert_case(case, prepare_case(case, make_model(case["model"]), calibration[0]), False)
    except Exception as error:
        body = {"throws": type(error).__name__, "message": str(error).split("\n")[0][:200]}
        dump(PROGRAMS / "fx" / f"{case['name']}.json", header(case["engine"]), {"case": case, **body})
        return body
    raise AssertionError(f"{case['name']}: PyTorch accepted what was meant to be refused")
