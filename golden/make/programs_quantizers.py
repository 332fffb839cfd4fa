"""PT2E quantizers from data.

`rules` is a quantizer whose annotations are the data itself: each rule picks the n-th node of an
operator and states the specs of its tensor inputs (by position among the node's tensor inputs) and
of its output.  A spec refers to another edge as {"op", "nth", "arg"} and to an output without "arg".
"""
import torch
import torchao.quantization.pt2e as pt2e
from torchao.quantization.pt2e.quantizer import (
    ComposableQuantizer, DerivedQuantizationSpec, FixedQParamsQuantizationSpec,
    QuantizationAnnotation, QuantizationSpec, Quantizer, SharedQuantizationSpec,
)
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
from torchao.quantization.pt2e.quantizer.embedding_quantizer import EmbeddingQuantizer
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

from programs_names import find_type, op_name
from programs_observers import DTYPES, QSCHEMES


def xnnpack_config(spec):
    if spec is None:
        return None
    keys = {"isPerChannel": "is_per_channel", "isQat": "is_qat", "isDynamic": "is_dynamic", "actQmin": "act_qmin",
            "actQmax": "act_qmax", "weightQmin": "weight_qmin", "weightQmax": "weight_qmax"}
    return get_symmetric_quantization_config(**{keys[k]: v for k, v in spec.items()})


def x86_config(spec):
    if spec is None:
        return None
    keys = {"isQat": "is_qat", "isDynamic": "is_dynamic", "reduceRange": "reduce_range"}
    return x86.get_default_x86_inductor_quantization_config(**{keys[k]: v for k, v in spec.items()})


def make_xnnpack(spec):
    quantizer = XNNPACKQuantizer()
    if "global" in spec:
        quantizer.set_global(xnnpack_config(spec["global"]))
    for name, config in spec.get("moduleName", []):
        quantizer.set_module_name(name, xnnpack_config(config))
    for kind, config in spec.get("moduleType", []):
        quantizer.set_module_type(find_type(kind), xnnpack_config(config))
    return quantizer


def make_x86(spec):
    quantizer = x86.X86InductorQuantizer()
    if "global" in spec:
        quantizer.set_global(x86_config(spec["global"]))
    for name, config in spec.get("moduleName", []):
        quantizer.set_module_name_qconfig(name, x86_config(config))
    for kind, config in spec.get("moduleType", []):
        quantizer.set_module_type_qconfig(find_type(kind), x86_config(config))
    for kind, config in spec.get("functionType", []):
        quantizer.set_function_type_qconfig(find_type(kind), x86_config(config))
    return quantizer


def product_of_scales(observers):
    """int32 bias of an integer layer: activation scale times weight scale, zero point 0."""
    scale = observers[0].calculate_qparams()[0] * observers[1].calculate_qparams()[0]
    return scale.to(torch.float32), torch.zeros_like(scale, dtype=torch.int32)


DERIVATIONS = {"productOfScales": product_of_scales}


class RulesQuantizer(Quantizer):
    def __init__(self, rules):
        super().__init__()
        self.rules = rules

    def find(self, model, op, nth):
        found = [n for n in model.graph.nodes if n.op == "call_function" and op_name(n.target) == op]
        return found[nth]

    def reference(self, model, at):
        node = self.find(model, at["op"], at["nth"])
        return (node.all_input_nodes[at["arg"]], node) if "arg" in at else node

    def spec(self, model, data):
        kind = data["kind"]
        if kind == "shared":
            return SharedQuantizationSpec(self.reference(model, data["with"]))
        common = {"dtype": DTYPES[data["dtype"]], "quant_min": data["quantMin"], "quant_max": data["quantMax"],
                  "qscheme": QSCHEMES[data["qscheme"]]}
        if kind == "fixed":
            return FixedQParamsQuantizationSpec(scale=data["scale"], zero_point=data["zeroPoint"], **common)
        if "chAxis" in data:
            common["ch_axis"] = data["chAxis"]
        if kind == "derived":
            return DerivedQuantizationSpec(derived_from=[self.reference(model, r) for r in data["from"]],
                                           derive_qparams_fn=DERIVATIONS[data["derive"]], **common)
        observer = getattr(pt2e, data["observer"])
        if "eps" in data:
            observer = observer.with_args(eps=data["eps"])
        return QuantizationSpec(observer_or_fake_quant_ctr=observer, is_dynamic=data.get("isDynamic", False), **common)

    def annotate(self, model):
        for rule in self.rules:
            node = self.find(model, rule["op"], rule["nth"])
            inputs = {node.all_input_nodes[k]: self.spec(model, s) for k, s in rule.get("inputs", [])}
            output = self.spec(model, rule["output"]) if rule.get("output") else None
            node.meta["quantization_annotation"] = QuantizationAnnotation(
                input_qspec_map=inputs, output_qspec=output, _annotated=True,
                allow_implicit_sharing=rule.get("allowImplicitSharing", True))
        return model

    def validate(self, model):
        pass


def make_quantizer(spec):
    kind = spec["kind"]
    if kind == "xnnpack":
        return make_xnnpack(spec)
    if kind == "x86":
        return make_x86(spec)
    if kind == "embedding":
        return EmbeddingQuantizer()
    if kind == "composable":
        return ComposableQuantizer([make_quantizer(s) for s in spec["quantizers"]])
    return RulesQuantizer(spec["rules"])
