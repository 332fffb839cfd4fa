"""Operator cases for the ONNX importer: small models of one node, inputs from seeds, results from onnx's reference
evaluator. Writes test/onnx/node-cases.json.

Usage: python golden/make/onnx_nodes.py        (needs the packages onnx and numpy)
"""

import base64
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

OPSET = 21
SEED = 20261128
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "onnx" / "node-cases.json"
rng = np.random.default_rng(SEED)


def f(*shape, low=-2.0, high=2.0, dtype=np.float32):
    return rng.uniform(low, high, shape).astype(dtype)


def i(*shape, low=-9, high=9, dtype=np.int64):
    return rng.integers(low, high, shape).astype(dtype)


def b(*shape):
    return rng.integers(0, 2, shape).astype(bool)


def ints(*values):
    return np.array(values, dtype=np.int64)


def scale(value):
    return np.array(value, dtype=np.float32)


def u8(value):
    return np.array(value, dtype=np.uint8)


def s8(value):
    return np.array(value, dtype=np.int8)


def bytes_of(*shape, signed=False):
    return i(*shape, low=-128 if signed else 0, high=128 if signed else 256, dtype=np.int8 if signed else np.uint8)


# name, operator, inputs (None: left out; a tuple ("const", array): an initializer), attributes, number of outputs
CASES = []


def case(name, op, inputs, outputs=1, domain="", opset=OPSET, **attributes):
    CASES.append((name, op, inputs, outputs, domain, opset, attributes))


def const(array):
    return ("const", array)


UNARY = {
    "Abs": (-3, 3), "Acos": (-0.9, 0.9), "Acosh": (1.1, 4), "Asin": (-0.9, 0.9), "Asinh": (-3, 3), "Atan": (-3, 3),
    "Atanh": (-0.9, 0.9), "Ceil": (-3, 3), "Cos": (-3, 3), "Cosh": (-2, 2), "Elu": (-3, 3), "Erf": (-2, 2),
    "Exp": (-2, 2), "Floor": (-3, 3), "Gelu": (-3, 3), "HardSigmoid": (-4, 4), "HardSwish": (-5, 5),
    "LeakyRelu": (-3, 3), "Log": (0.1, 5), "Mish": (-3, 3), "Neg": (-3, 3), "Reciprocal": (0.5, 3), "Relu": (-3, 3),
    "Round": (-4, 4), "Selu": (-3, 3), "Sigmoid": (-4, 4), "Sign": (-2, 2), "Sin": (-3, 3), "Sinh": (-2, 2),
    "Softplus": (-3, 3), "Softsign": (-3, 3), "Sqrt": (0.1, 4), "Tan": (-1, 1), "Tanh": (-3, 3),
    "ThresholdedRelu": (-3, 3), "Celu": (-3, 3), "IsNaN": (-1, 1), "IsInf": (-1, 1), "Identity": (-1, 1),
}  # fmt: skip
for op, (low, high) in UNARY.items():
    case(f"{op.lower()}_two_axes", op, [f(3, 5, low=low, high=high)])
    case(f"{op.lower()}_four_axes", op, [f(2, 2, 3, 2, low=low, high=high)])

for op in ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mean", "Sum"]:
    low = 0.5 if op in ("Div", "Pow") else -2
    case(f"{op.lower()}_same_shape", op, [f(3, 4, low=0.5), f(3, 4, low=low)])
    case(f"{op.lower()}_broadcast", op, [f(2, 3, 4, low=0.5), f(3, 1, low=low)])
for op in ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]:
    case(f"{op.lower()}_floats", op, [f(3, 4).round(), f(3, 4).round()])
    case(f"{op.lower()}_bytes", op, [bytes_of(4, 3), bytes_of(3)])
for op in ["And", "Or", "Xor"]:
    case(f"{op.lower()}_broadcast", op, [b(2, 3, 4), b(4)])
for op in ["BitwiseAnd", "BitwiseOr", "BitwiseXor"]:
    case(f"{op.lower()}_int32", op, [i(3, 4, dtype=np.int32), i(4, dtype=np.int32)])
case("not", "Not", [b(3, 4)])
case("bitwisenot", "BitwiseNot", [bytes_of(3, 4)])
case("mod_int", "Mod", [i(3, 4), i(3, 4, low=1)])
case("mod_float", "Mod", [f(3, 4), f(3, 4, low=0.5)], fmod=1)
case("add_int8", "Add", [i(3, 4, dtype=np.int8), i(3, 4, dtype=np.int8)])
case("mul_uint8", "Mul", [i(3, 4, low=0, dtype=np.uint8), i(4, low=0, dtype=np.uint8)])
case("where", "Where", [b(3, 4), f(3, 4), f(4)])
case("clip", "Clip", [f(3, 4), scale(-0.5), scale(1.0)])
case("clip_low_only", "Clip", [f(3, 4), scale(-0.5)])
case("prelu", "PRelu", [f(2, 3, 4), f(3, 1)])
case("cast_to_int", "Cast", [f(3, 4)], to=TensorProto.INT32)
case("cast_to_bool", "Cast", [i(3, 4, low=-1, high=2)], to=TensorProto.BOOL)

for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
           "ReduceLogSumExp"]:  # fmt: skip
    case(f"{op.lower()}_one_axis", op, [f(3, 4, 2, low=0.2), const(ints(1))], keepdims=0)
    case(f"{op.lower()}_last_axes_kept", op, [f(2, 3, 4, low=0.2), const(ints(-2, -1))], keepdims=1)
for op in ["ArgMax", "ArgMin"]:
    case(f"{op.lower()}_axis", op, [f(3, 5)], axis=1, keepdims=0)
for op in ["Softmax", "LogSoftmax", "Hardmax"]:
    case(f"{op.lower()}_last", op, [f(3, 5)])
    case(f"{op.lower()}_middle", op, [f(2, 3, 4)], axis=1)
case("cumsum", "CumSum", [f(3, 4), const(np.array(1))])
case("cumsum_backwards", "CumSum", [f(3, 4), const(np.array(0))], reverse=1, exclusive=1)
case("topk", "TopK", [f(3, 6), const(ints(2))], outputs=2, axis=1)
case("nonzero", "NonZero", [b(3, 4)])
case("einsum_batch", "Einsum", [f(2, 3, 4), f(2, 4, 5)], equation="bij,bjk->bik")

case("reshape", "Reshape", [f(2, 6), const(ints(3, -1))])
case("reshape_zero_copies", "Reshape", [f(2, 6), const(ints(0, 3, 2))])
case("flatten", "Flatten", [f(2, 3, 4)], axis=2)
case("transpose", "Transpose", [f(2, 3, 4)], perm=[2, 0, 1])
case("squeeze", "Squeeze", [f(1, 3, 1), const(ints(0))])
case("unsqueeze", "Unsqueeze", [f(3, 2), const(ints(1, -1))])
case("expand", "Expand", [f(3, 1), const(ints(2, 3, 4))])
case("tile", "Tile", [f(2, 3), const(ints(2, 1))])
case("concat", "Concat", [f(2, 3), f(2, 1)], axis=1)
case("split", "Split", [f(2, 6), const(ints(2, 4))], outputs=2, axis=1)
case("slice_steps", "Slice", [f(5, 6), const(ints(4, 0)), const(ints(-6, 5)), const(ints(0, 1)), const(ints(-2, 2))])
case("pad_constant", "Pad", [f(2, 3), const(ints(0, 1, 1, 2)), scale(0.5)])
case("pad_reflect", "Pad", [f(3, 4), const(ints(1, 1, 1, 2))], mode="reflect")
case("pad_edge", "Pad", [f(3, 4), const(ints(1, 0, 2, 2))], mode="edge")
case("gather", "Gather", [f(4, 3), i(2, 2, low=0, high=4)])
case("gather_axis_1", "Gather", [f(2, 5), i(3, low=-5, high=5)], axis=1)
case("gatherelements", "GatherElements", [f(3, 4), i(3, 2, low=0, high=4)], axis=1)
case("gathernd", "GatherND", [f(3, 4, 2), i(5, 2, low=0, high=3)])
case("scatterelements", "ScatterElements", [f(3, 5), ints(0, 3, 1).reshape(1, 3), f(1, 3)], axis=1)
case("scatternd", "ScatterND", [f(4, 3), ints(2, 0).reshape(2, 1), f(2, 3)])
case("onehot", "OneHot", [i(4, low=0, high=5), const(np.array(5)), np.array([0.0, 2.0], dtype=np.float32)])
case("depthtospace", "DepthToSpace", [f(1, 8, 2, 3)], blocksize=2)
case("spacetodepth", "SpaceToDepth", [f(1, 2, 4, 6)], blocksize=2)
case("trilu_upper", "Trilu", [f(4, 5)], upper=1)
case("shape", "Shape", [f(2, 3, 4)])
case("size", "Size", [f(2, 3, 4)])
case("range", "Range", [np.array(2), np.array(11), np.array(3)])
case("eyelike", "EyeLike", [f(3, 4)], k=1)

case("conv", "Conv", [f(1, 2, 6, 5), f(3, 2, 3, 3), f(3)], pads=[1, 1, 1, 1])
case("conv_strided_dilated", "Conv", [f(1, 2, 9, 8), f(2, 2, 3, 3)], strides=[2, 1], dilations=[2, 1])
case("conv_grouped", "Conv", [f(1, 4, 5, 5), f(4, 1, 3, 3)], group=4)
case("conv_uneven_padding", "Conv", [f(1, 1, 5, 5), f(1, 1, 3, 3)], pads=[0, 1, 2, 0])
case("conv_one_axis", "Conv", [f(1, 2, 9), f(3, 2, 3), f(3)], pads=[1, 1])
case("convtranspose", "ConvTranspose", [f(1, 2, 4, 4), f(2, 3, 3, 3), f(3)], strides=[2, 2])
case("gemm", "Gemm", [f(3, 4), f(4, 5), f(5)])
case("gemm_transposed", "Gemm", [f(4, 3), f(5, 4), f(3, 5)], transA=1, transB=1, alpha=0.5, beta=2.0)
case("matmul", "MatMul", [f(2, 3, 4), f(4, 5)])
case("matmul_batches", "MatMul", [f(2, 1, 3, 4), f(3, 4, 2)])
case("batchnorm", "BatchNormalization", [f(2, 3, 4), f(3), f(3), f(3), f(3, low=0.2)])
case("layernorm", "LayerNormalization", [f(2, 3, 4), f(4), f(4)])
case("instancenorm", "InstanceNormalization", [f(2, 3, 5), f(3), f(3)])
case("maxpool", "MaxPool", [f(1, 2, 7, 6)], kernel_shape=[3, 2], strides=[2, 2])
case("maxpool_ceil", "MaxPool", [f(1, 1, 6, 6)], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
case("averagepool", "AveragePool", [f(1, 2, 6, 6)], kernel_shape=[2, 2], strides=[2, 2])
case("averagepool_padded", "AveragePool", [f(1, 2, 5, 5)], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
case("globalaveragepool", "GlobalAveragePool", [f(2, 3, 4, 5)])
case("globalmaxpool", "GlobalMaxPool", [f(2, 3, 4, 5)])
case("resize_nearest", "Resize", [f(1, 1, 3, 4), None, const(np.array([1, 1, 2, 2], dtype=np.float32))],
     mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
case("resize_linear", "Resize", [f(1, 1, 3, 4), None, const(np.array([1, 1, 2, 1.5], dtype=np.float32))], mode="linear")
case("lstm", "LSTM", [f(3, 2, 4), f(1, 12, 4), f(1, 12, 3), f(1, 24)], outputs=3, hidden_size=3)
case("gru", "GRU", [f(3, 2, 4), f(1, 9, 4), f(1, 9, 3), f(1, 18)], outputs=2, hidden_size=3)
case("rnn", "RNN", [f(3, 2, 4), f(1, 3, 4), f(1, 3, 3), f(1, 6)], outputs=2, hidden_size=3)
case("attention", "Attention", [f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4)], opset=23)
case("attention_causal", "Attention", [f(1, 2, 4, 4), f(1, 2, 4, 4), f(1, 2, 4, 4)], opset=23, is_causal=1)
case("attention_window", "Attention", [f(1, 2, 5, 4), f(1, 2, 5, 4), f(1, 2, 5, 4)], opset=28,
     left_window_size=1, right_window_size=2)  # fmt: skip
case("attention_causal_window", "Attention", [f(1, 1, 5, 4), f(1, 1, 5, 4), f(1, 1, 5, 4)], opset=28,
     is_causal=1, left_window_size=2)  # fmt: skip
case("attention_causal_lengths", "Attention",
     [f(2, 2, 2, 4), f(2, 2, 5, 4), f(2, 2, 5, 4), None, None, None, ints(3, 5)], opset=24, is_causal=1)  # fmt: skip

for signed in (False, True):
    kind, zero = ("int8", s8(-3)) if signed else ("uint8", u8(121))
    case(f"quantizelinear_{kind}", "QuantizeLinear", [f(4, 5), scale(0.02), zero])
    case(f"dequantizelinear_{kind}", "DequantizeLinear", [bytes_of(4, 5, signed=signed), scale(0.02), zero])
    case(f"quantizelinear_channels_{kind}", "QuantizeLinear",
         [f(3, 4), f(3, low=0.01, high=0.05), np.full(3, zero)], axis=0)  # fmt: skip
    case(f"dequantizelinear_channels_{kind}", "DequantizeLinear",
         [bytes_of(3, 4, signed=signed), f(3, low=0.01, high=0.05), np.full(3, zero)], axis=0)  # fmt: skip
    case(f"qlinearmatmul_{kind}", "QLinearMatMul",
         [bytes_of(3, 4, signed=signed), scale(0.03), zero, bytes_of(4, 5, signed=signed), scale(0.02), zero,
          scale(0.4), zero])  # fmt: skip
    case(f"matmulinteger_{kind}", "MatMulInteger", [bytes_of(3, 4, signed=signed), bytes_of(4, 5, signed=signed), zero, zero])
case("quantizelinear_blocks", "QuantizeLinear", [f(2, 6), f(2, 3, low=0.01, high=0.05), np.full((2, 3), u8(100))],
     axis=1, block_size=2)  # fmt: skip
case("dequantizelinear_blocks", "DequantizeLinear", [bytes_of(2, 6), f(2, 3, low=0.01, high=0.05), np.full((2, 3), u8(9))],
     axis=1, block_size=2)  # fmt: skip
case("quantizelinear_int16", "QuantizeLinear", [f(3, 4), scale(0.001), np.array(7, dtype=np.int16)])
case("dynamicquantizelinear", "DynamicQuantizeLinear", [f(3, 4)], outputs=3)
case("dynamicquantizelinear_positive", "DynamicQuantizeLinear", [f(3, 4, low=0.5)], outputs=3)
case("convinteger", "ConvInteger", [bytes_of(1, 2, 5, 5), bytes_of(2, 2, 3, 3), u8(120)], pads=[1, 1, 1, 1])
case("qlinearconv", "QLinearConv",
     [bytes_of(1, 2, 5, 5), scale(0.02), u8(120), bytes_of(3, 2, 3, 3, signed=True), f(3, low=0.01, high=0.03),
      np.zeros(3, dtype=np.int8), scale(0.1), u8(128), i(3, low=-500, high=500, dtype=np.int32)])  # fmt: skip


def stored(array):
    data = base64.b64encode(np.asarray(array).tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def declared(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def build(op, inputs, outputs, domain, opset, attributes):
    names, feeds, initializers = [], {}, []
    for at, value in enumerate(inputs):
        if value is None:
            names.append("")
        elif isinstance(value, tuple):
            names.append(f"c{at}")
            initializers.append(onnx.numpy_helper.from_array(value[1], f"c{at}"))
        else:
            names.append(f"x{at}")
            feeds[f"x{at}"] = value
    results = [f"y{at}" for at in range(outputs)]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    model = lambda shapes: helper.make_model(
        helper.make_graph([node], "case", [declared(n, v) for n, v in feeds.items()], shapes, initializers),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=10,
    )
    open_results = [helper.make_value_info(name, onnx.TypeProto()) for name in results]
    values = ReferenceEvaluator(model(open_results)).run(None, feeds)
    values = [np.asarray(value) for value in values]
    return model([declared(n, v) for n, v in zip(results, values)]), list(feeds.values()), values


def main():
    lines = []
    for name, op, inputs, outputs, domain, opset, attributes in CASES:
        model, given, expected = build(op, inputs, outputs, domain, opset, attributes)
        sets = [{"inputs": [stored(x) for x in given], "outputs": [stored(y) for y in expected]}]
        packed = base64.b64encode(model.SerializeToString()).decode()
        lines.append(json.dumps({"name": name, "model": packed, "case": {"rtol": 1e-4, "atol": 1e-6, "sets": sets}}))
    OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(lines)} cases, onnx {onnx.__version__}, seed {SEED}")


if __name__ == "__main__":
    main()
