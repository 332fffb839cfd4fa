"""A torch.fx program as data: nodes in order with neutral op names, argument names, and what each
node gave for the test input.

Scale and zero-point attributes are written into the nodes that read them, so that a program reads
the same whether its qparams are literals (PT2E) or buffers (FX).
"""
import copy
import re

import torch
import torch.ao.nn.intrinsic as nni
from torch.fx.operator_schemas import normalize_function

from common import encode, number
from programs_names import op_name, type_name
from programs_observers import describe_observer, statistics

_QPARAM_ATTR = re.compile(r"_(scale|zero_point)_\d+$")


def attribute(root, path):
    for part in path.split("."):
        root = getattr(root, part)
    return root


def is_observer(module):
    return isinstance(module, torch.nn.Module) and (hasattr(module, "calculate_qparams") or hasattr(module, "get_input_minmax"))


class ValueRecorder(torch.fx.Interpreter):
    """Runs a program once and keeps every node's value."""

    def __init__(self, program):
        super().__init__(program, garbage_collect_values=False)
        self.values = {}

    def run_node(self, node):
        value = super().run_node(node)
        self.values[node.name] = value.clone() if isinstance(value, torch.Tensor) else value
        return value


def run(program, inputs):
    recorder = ValueRecorder(program)
    with torch.no_grad():
        output = recorder.run(*inputs)
    return output, recorder.values


def describe_value(value):
    """dtype, shape and qparams of a value; `sum` of its integers locates a first difference."""
    if not isinstance(value, torch.Tensor):
        return None
    out = {"dtype": encode(value.dtype), "shape": list(value.shape)}
    if value.is_quantized:
        if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            out["scale"] = number(value.q_scale())
            out["zeroPoint"] = number(value.q_zero_point())
        out["sum"] = int(value.int_repr().to(torch.int64).sum())
    elif value.dtype in (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64):
        out["sum"] = int(value.to(torch.int64).sum())
    return out


def _inline(program, node):
    """The value of a scale/zero-point attribute node, or None when the node is something else."""
    if node.op != "get_attr" or not _QPARAM_ATTR.search(str(node.target)):
        return None
    value = attribute(program, node.target)
    return number(value.flatten()[0]) if value.numel() == 1 else encode(value)


def encode_argument(program, value):
    if isinstance(value, torch.fx.Node):
        inlined = _inline(program, value)
        return f"%{value.name}" if inlined is None else inlined
    if isinstance(value, (list, tuple)):
        return [encode_argument(program, v) for v in value]
    if isinstance(value, dict):
        return {k: encode_argument(program, v) for k, v in value.items()}
    if isinstance(value, slice):
        return {"slice": [encode_argument(program, v) for v in (value.start, value.stop, value.step)]}
    if isinstance(value, (torch.memory_format, torch.layout, torch.device)) or value is Ellipsis:
        return str(value)
    if isinstance(value, torch._ops.OpOverload):
        return f"op:{op_name(value)}"
    return encode(value)


def _schema_names(node, values):
    if isinstance(node.target, torch._ops.OpOverload):
        return [a.name for a in node.target._schema.arguments]
    if isinstance(node.target, torch._ops.OpOverloadPacket):
        for overload in node.target.overloads():
            names = [a.name for a in getattr(node.target, overload)._schema.arguments]
            if len(names) >= len(node.args):
                return names
    return None


def named_arguments(program, node, values):
    """{argument name: value}; positions for callables whose signature is not known."""
    if node.op == "call_module":
        names = ["input", "input2", "input3", "input4"]
    elif node.op == "call_method":
        names = ["input"]
    elif type_name(node.target).startswith("operator."):
        names = ["input", "other"]
    else:
        names = _schema_names(node, values)
    args, kwargs = node.args, node.kwargs
    if names is None and node.op == "call_function":
        types = tuple(type(values.get(a.name)) if isinstance(a, torch.fx.Node) else type(a) for a in args)
        try:
            bound = normalize_function(node.target, args, kwargs, types, normalize_to_only_use_kwargs=True)
        except Exception:  # several overloads fit
            bound = None
        if bound is not None:
            args, kwargs = (), bound.kwargs
    names = names or []
    out = {}
    for position, value in enumerate(args):
        name = names[position] if position < len(names) else f"arg{position}"
        out[name] = encode_argument(program, value)
    for name, value in kwargs.items():
        out[name] = encode_argument(program, value)
    return out


def _module_path(node):
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    path = list(stack.values())[-1][0]
    path = re.sub(r"^L\['self'\]\.?", "", path)
    return path.replace("._modules['", ".").replace("']", "") or None


def _module_fields(program, node):
    module = attribute(program, node.target)
    fields = {"op": op_name(type(module)), "type": type_name(type(module)), "module": str(node.target)}
    if is_observer(module):
        fields["op"] = "observer"
        del fields["module"]
        return fields
    weight = describe_weight(module)
    if weight:
        fields["weight"] = weight
    return fields


def describe_weight(module):
    """Quantized weight and bias of quantized modules; weight qparams of reference modules."""
    if isinstance(module, nni._FusedModule):
        return describe_weight(module[0])
    if hasattr(module, "weight_qscheme"):
        out = {"qscheme": encode(module.weight_qscheme), "dtype": encode(module.weight_dtype)}
        if hasattr(module, "weight_scale"):
            out["scale"] = encode(module.weight_scale.detach())
            out["zeroPoint"] = encode(module.weight_zero_point.detach())
        if hasattr(module, "weight_axis"):
            out["axis"] = int(module.weight_axis)
        return out
    weight = getattr(module, "weight", None)
    if hasattr(module, "get_weight") and not callable(weight):  # recurrent layers and cells
        return {"weights": encode(module.get_weight()), "biases": encode(module.get_bias())}
    if not callable(weight):
        return None
    out = {"weight": encode(weight())}
    bias = getattr(module, "bias", None)
    if callable(bias) and bias() is not None:
        out["bias"] = encode(bias())
    return out


def _constant(value):
    """A parameter, buffer, or prepacked weight read by get_attr."""
    if isinstance(value, torch.Tensor):
        return encode(value)
    if isinstance(value, torch.ScriptObject):
        weight, bias = value.unpack()
        return {"weight": encode(weight), "bias": encode(bias)}
    return {"kind": type(value).__name__}


def describe_node(program, node, values, observers):
    entry = {"name": node.name, "kind": node.op}
    if node.op == "call_module":
        entry.update(_module_fields(program, node))
        if entry["op"] == "observer":
            entry["observer"] = observers.number_of(program, node)
    elif node.op in ("call_function", "call_method"):
        entry.update({"op": op_name(node.target), "type": type_name(node.target)})
        path = _module_path(node)
        if path:
            entry["module"] = path
    else:
        entry["op"] = {"get_attr": "constant", "placeholder": "input"}.get(node.op, node.op)
        if node.op == "get_attr":
            entry["attr"] = str(node.target)
    entry["inputs"] = [n.name for n in node.all_input_nodes if _inline(program, n) is None]
    if node.op == "output":
        entry["args"] = {"outputs": encode_argument(program, node.args[0])}
    elif node.op not in ("placeholder", "get_attr"):
        entry["args"] = named_arguments(program, node, values)
    out = describe_value(values.get(node.name)) if node.op != "output" else None
    if out:
        entry["out"] = out
    return entry


class ObserverTable:
    """Observer instances in order of first appearance: one row an instance, with all its sites."""

    def __init__(self):
        self.rows = []
        self.index = {}

    def number_of(self, program, node):
        module = attribute(program, node.target)
        if id(module) not in self.index:
            self.index[id(module)] = len(self.rows)
            self.rows.append({"id": len(self.rows), **describe_observer(module), "sites": [], "statistics": statistics(module)})
        number_ = self.index[id(module)]
        producer = node.args[0]
        self.rows[number_]["sites"].append({"node": node.name, "after": producer.name})
        return number_


def op_counts(nodes):
    counts = {}
    for node in nodes:
        counts[node["op"]] = counts.get(node["op"], 0) + 1
    return counts


def describe_program(program, inputs, known=(), run_copy=False):
    """{nodes, counts, observers?, constants?, output}; `known` names state stored with the model.

    A prepared program is run as a copy, because running it would move its observers.
    """
    output, values = run(copy.deepcopy(program) if run_copy else program, inputs)
    observers = ObserverTable()
    nodes = [describe_node(program, n, values, observers) for n in program.graph.nodes if _inline(program, n) is None]
    body = {"counts": op_counts(nodes), "nodes": nodes}
    if observers.rows:
        body["observers"] = observers.rows
    constants = {}
    for node in program.graph.nodes:
        if node.op == "get_attr" and _inline(program, node) is None and str(node.target) not in known:
            constants[str(node.target)] = _constant(attribute(program, node.target))
    if constants:
        body["constants"] = constants
    body["output"] = encode(output)
    integers = _integer_outputs(program, values)
    if integers:
        body["integerOutputs"] = integers
    return body


def _integer_outputs(program, values):
    """The quantized tensors that the program's last dequantizes read, keyed by node name."""
    found = {}
    (last,) = [n for n in program.graph.nodes if n.op == "output"]
    for node in last.all_input_nodes:
        source = node
        if "dequantize" in str(node.target) and node.all_input_nodes:
            source = node.all_input_nodes[0]
        value = values.get(source.name)
        if isinstance(value, torch.Tensor) and (value.is_quantized or value.dtype in (torch.int8, torch.uint8)):
            found[source.name] = encode(value)
    return found
