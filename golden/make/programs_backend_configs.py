"""Dumps PyTorch's backend configs, default qconfigs and default qconfig mappings as data.

Patterns are spelled as in programs_names.type_name; a nested pattern keeps PyTorch's written order.
"""
import torch
import torch.ao.quantization as aoq
from torch.ao.quantization.backend_config import ObservationType, get_executorch_backend_config, get_tensorrt_backend_config
from torch.ao.quantization.backend_config.backend_config import DTypeConfig
from torch.ao.quantization.qconfig_mapping import get_default_qat_qconfig_mapping, get_default_qconfig_mapping

from common import encode
from programs_data import PROGRAMS, dump
from programs_fx import BACKENDS
from programs_names import type_name
from programs_observers import describe_qconfig

ALL_BACKENDS = {**BACKENDS, "executorch": get_executorch_backend_config, "tensorrt": get_tensorrt_backend_config}
ENGINES = ("x86", "fbgemm", "qnnpack", "onednn")
QCONFIG_NAMES = (
    "default_qconfig", "default_debug_qconfig", "default_per_channel_qconfig", "default_dynamic_qconfig",
    "float16_dynamic_qconfig", "float16_static_qconfig", "per_channel_dynamic_qconfig", "float_qparams_weight_only_qconfig",
    "float_qparams_weight_only_qconfig_4bit", "default_weight_only_qconfig", "default_activation_only_qconfig",
    "default_reuse_input_qconfig", "default_symmetric_qnnpack_qconfig", "default_per_channel_symmetric_qnnpack_qconfig",
    "default_qat_qconfig", "default_qat_qconfig_v2", "default_symmetric_qnnpack_qat_qconfig",
    "default_per_channel_symmetric_qnnpack_qat_qconfig", "default_embedding_qat_qconfig", "default_embedding_qat_qconfig_4bit",
    "default_quint8_weight_qconfig",
)


def pattern(value):
    if isinstance(value, (tuple, list)):
        return [pattern(v) for v in value]
    return type_name(value) if not isinstance(value, str) else f"method:{value}"


def dtype_config(config: DTypeConfig):
    def constrained(part):
        if part is None or part.dtype is None:
            return None
        names = {"quantMinLowerBound": part.quant_min_lower_bound, "quantMaxUpperBound": part.quant_max_upper_bound,
                 "scaleMinLowerBound": part.scale_min_lower_bound, "scaleMaxUpperBound": part.scale_max_upper_bound,
                 "scaleExactMatch": part.scale_exact_match, "zeroPointExactMatch": part.zero_point_exact_match}
        return {"dtype": encode(part.dtype), **{k: encode(v) for k, v in names.items() if v is not None}}
    out = {"input": constrained(config.input_dtype_with_constraints), "output": constrained(config.output_dtype_with_constraints),
           "weight": constrained(config.weight_dtype_with_constraints),
           "bias": encode(config.bias_dtype) if config.bias_dtype is not None else None, "isDynamic": bool(config.is_dynamic)}
    return {k: v for k, v in out.items() if v is not None}


def entry(config):
    named = {"rootModule": config.root_module, "qatModule": config.qat_module,
             "referenceQuantizedModule": config.reference_quantized_module, "fusedModule": config.fused_module}
    out = {"pattern": pattern(config.pattern if config.pattern is not None else config._pattern_complex_format),
           "complexFormat": config.pattern is None,
           "observationType": config.observation_type.name,
           "dtypeConfigs": [dtype_config(d) for d in config.dtype_configs]}
    out.update({k: type_name(v) for k, v in named.items() if v is not None})
    if config.fuser_method is not None:
        out["fuserMethod"] = getattr(config.fuser_method, "__name__", "partial")
    if config._num_tensor_args_to_observation_type:
        out["numTensorArgsToObservationType"] = {str(k): v.name for k, v in config._num_tensor_args_to_observation_type.items()}
    if config._input_type_to_index:
        out["inputTypeToIndex"] = dict(config._input_type_to_index)
    out["hasRootNodeGetter"] = config._root_node_getter is not None
    out["hasExtraInputsGetter"] = config._extra_inputs_getter is not None
    return out


def mapping(value):
    named = {"global": describe_qconfig(value.global_qconfig),
             "objectType": [[pattern(k), describe_qconfig(v)] for k, v in value.object_type_qconfigs.items()]}
    for key, table in (("moduleNameRegex", value.module_name_regex_qconfigs), ("moduleName", value.module_name_qconfigs)):
        if table:
            named[key] = [[k, describe_qconfig(v)] for k, v in table.items()]
    return named


def qconfigs():
    out = {}
    for name in QCONFIG_NAMES:
        value = getattr(aoq.qconfig, name, None)
        if value is not None:
            out[name] = describe_qconfig(value)
    for engine in ENGINES:
        for version in (0, 1):
            out[f"get_default_qconfig:{engine}:{version}"] = _or_error(lambda: describe_qconfig(aoq.get_default_qconfig(engine, version)))
            out[f"get_default_qat_qconfig:{engine}:{version}"] = _or_error(lambda: describe_qconfig(aoq.get_default_qat_qconfig(engine, version)))
    return out


def _or_error(make):
    try:
        return make()
    except AssertionError as error:
        return {"throws": str(error).split("\n")[0]}


def write():
    mappings = {}
    for engine in ENGINES:
        mappings[f"get_default_qconfig_mapping:{engine}"] = mapping(get_default_qconfig_mapping(engine))
        mappings[f"get_default_qat_qconfig_mapping:{engine}"] = mapping(get_default_qat_qconfig_mapping(engine))
    header = {"script": "golden/make/programs.py", "torch": torch.__version__.split("+")[0]}
    dump(PROGRAMS / "backend-configs.json", header, {
        "observationTypes": [o.name for o in ObservationType],
        "backends": {name: [entry(c) for c in get().configs] for name, get in ALL_BACKENDS.items()},
        "qconfigs": qconfigs(),
        "mappings": mappings,
    })
