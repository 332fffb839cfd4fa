"""The PT2E cases: model x quantizer x convert options, as data."""

EPS = 2**-12


def case(name, model, quantizer, **options):
    return {"name": name, "mode": "pt2e", "model": model, "quantizer": quantizer, **options}


def xnnpack(config=None, **more):
    return {"kind": "xnnpack", "global": config or {}, **more}


PER_CHANNEL = {"isPerChannel": True}
DYNAMIC = {"isPerChannel": True, "isDynamic": True}

XNNPACK_MODELS = [
    "linear", "mlp", "conv-relu", "conv-bn", "conv-bn-relu", "small-cnn", "res-block", "skip-add", "add-self", "cat",
    "cat-input", "cat-twice", "shared-linear", "shared-conv-branches", "functional-linear", "functional-conv",
    "scalar-ops", "mul", "pools", "pool-functions", "shapes", "mean", "dropout", "conv-transpose", "conv-transpose-bn",
    "conv1d", "depthwise", "linear-bn", "two-in-two-out", "nested", "squeeze-excite", "unet-mini", "branch-reuse",
    "add-parameter", "inplace-relu", "sequential", "mixed-ops",
]

XNNPACK = [case(f"xnnpack-{m}", m, xnnpack()) for m in XNNPACK_MODELS]
XNNPACK += [case(f"xnnpack-per-channel-{m}", m, xnnpack(PER_CHANNEL))
            for m in ("mlp", "small-cnn", "res-block", "depthwise", "conv1d", "conv-transpose", "functional-conv", "shared-linear")]
XNNPACK += [case(f"xnnpack-dynamic-{m}", m, xnnpack(DYNAMIC)) for m in ("mlp", "nested", "functional-linear", "attention")]
XNNPACK += [
    case("xnnpack-dynamic-per-tensor-mlp", "mlp", xnnpack({"isDynamic": True})),
    case("xnnpack-non-strict-cat", "cat", xnnpack(), export="nonstrict"),
    case("xnnpack-non-strict-small-cnn", "small-cnn", xnnpack(), export="nonstrict"),
    case("xnnpack-act-range-mlp", "mlp", xnnpack({"actQmin": 0, "actQmax": 127, "weightQmin": -7, "weightQmax": 7})),
    case("xnnpack-module-name", "nested", {"kind": "xnnpack", "moduleName": [["left", {}], ["right.fc1", PER_CHANNEL]]}),
    case("error-xnnpack-module-name-null", "nested", xnnpack({}, moduleName=[["left", None]]), throws=True),
    case("xnnpack-module-type", "nested", {"kind": "xnnpack", "moduleType": [["nn.Linear", PER_CHANNEL]]}),
    case("xnnpack-module-type-and-global", "small-cnn", xnnpack({}, moduleType=[["nn.Linear", PER_CHANNEL]])),
    case("xnnpack-static-and-dynamic", "nested", {"kind": "xnnpack", "moduleName": [["left", {}], ["right", DYNAMIC]]}),
]

FOLDING = [
    case("xnnpack-no-fold-mlp", "mlp", xnnpack(), foldQuantize=False),
    case("xnnpack-no-fold-small-cnn", "small-cnn", xnnpack(PER_CHANNEL), foldQuantize=False),
]
FOLDING += [case(f"reference-representation-{m}", m, xnnpack(), useReferenceRepresentation=True)
            for m in ("mlp", "conv-relu", "res-block", "skip-add", "pools")]
FOLDING += [case("reference-representation-dynamic-linear", "linear", xnnpack({"isDynamic": True}), useReferenceRepresentation=True)]

X86 = [case(f"x86-{m}", m, {"kind": "x86", "global": {}})
       for m in ("mlp", "small-cnn", "res-block", "cat", "pools", "matmul", "branch-reuse", "shapes", "linear-bn", "unet-mini", "attention")]
X86 += [
    case("x86-reduce-range-small-cnn", "small-cnn", {"kind": "x86", "global": {"reduceRange": True}}),
    case("x86-dynamic-mlp", "mlp", {"kind": "x86", "global": {"isDynamic": True}}),
    case("x86-module-name", "nested", {"kind": "x86", "moduleName": [["left", {}]]}),
    case("x86-module-type", "small-cnn", {"kind": "x86", "moduleType": [["nn.Linear", {}]]}),
    case("x86-module-name-null", "nested", {"kind": "x86", "global": {}, "moduleName": [["left.fc1", None]]}),
    case("x86-function-type", "matmul", {"kind": "x86", "global": {}, "functionType": [["torch.matmul", {}]]}),
]

OTHERS = [
    case("embedding", "embedding", {"kind": "embedding"}),
    case("embedding-then-xnnpack", "embedding", {"kind": "composable", "quantizers": [{"kind": "embedding"}, xnnpack()]}),
    case("composable-static-then-dynamic", "nested", {"kind": "composable", "quantizers": [
        {"kind": "xnnpack", "moduleName": [["left", {}]]}, {"kind": "xnnpack", "moduleName": [["right", DYNAMIC]]}]}),
]


def act(dtype="uint8", low=0, high=255, observer="HistogramObserver", **more):
    return {"kind": "quantization", "dtype": dtype, "quantMin": low, "quantMax": high, "qscheme": "per_tensor_affine",
            "observer": observer, "eps": EPS, **more}


WEIGHT = {"kind": "quantization", "dtype": "int8", "quantMin": -127, "quantMax": 127, "qscheme": "per_tensor_symmetric",
          "observer": "MinMaxObserver", "eps": EPS}
WEIGHT_C = {"kind": "quantization", "dtype": "int8", "quantMin": -127, "quantMax": 127, "qscheme": "per_channel_symmetric",
            "observer": "PerChannelMinMaxObserver", "chAxis": 0, "eps": EPS}
ACT = act()
MINMAX = act(observer="MinMaxObserver")
INT16 = act("int16", -32768, 32767, "MinMaxObserver")


def edge(op, nth, arg):
    return {"op": op, "nth": nth, "arg": arg}


def out(op, nth):
    return {"op": op, "nth": nth}


def shared(at):
    return {"kind": "shared", "with": at}


def bias(op, nth, scheme="per_tensor_symmetric"):
    more = {"chAxis": 0} if scheme.startswith("per_channel") else {}
    return {"kind": "derived", "from": [edge(op, nth, 0), edge(op, nth, 1)], "derive": "productOfScales", "dtype": "int32",
            "quantMin": -(2**31), "quantMax": 2**31 - 1, "qscheme": scheme, **more}


def fixed(scale, zero_point, dtype="uint8", low=0, high=255):
    return {"kind": "fixed", "dtype": dtype, "scale": scale, "zeroPoint": zero_point, "quantMin": low, "quantMax": high,
            "qscheme": "per_tensor_affine"}


def rules(*entries):
    return {"kind": "rules", "rules": list(entries)}


def rule(op, nth, inputs, output=None, **more):
    return {"op": op, "nth": nth, "inputs": inputs, "output": output, **more}


CUSTOM = [
    case("rules-derived-bias", "mlp", rules(
        rule("linear", 0, [[0, ACT], [1, WEIGHT], [2, bias("linear", 0)]]),
        rule("relu", 0, [], ACT),
        rule("linear", 1, [[0, ACT], [1, WEIGHT], [2, bias("linear", 1)]], ACT))),
    case("rules-derived-bias-per-channel", "conv", rules(
        rule("conv2d", 0, [[0, MINMAX], [1, WEIGHT_C], [2, bias("conv2d", 0, "per_channel_symmetric")]], MINMAX))),
    case("rules-fixed-sigmoid", "fixed-functions", rules(
        rule("conv2d", 0, [[0, ACT], [1, WEIGHT]], ACT),
        rule("sigmoid", 0, [[0, ACT]], fixed(1 / 256, 0)),
        rule("tanh", 0, [[0, ACT]], fixed(2 / 256, 128)))),
    case("rules-shared-cat", "cat-input", rules(
        rule("conv2d", 0, [[0, ACT], [1, WEIGHT]], ACT),
        rule("cat", 0, [[0, ACT], [1, shared(edge("cat", 0, 0))], [2, shared(edge("cat", 0, 0))]], shared(edge("cat", 0, 0))))),
    case("rules-shared-with-output", "skip-add", rules(
        rule("conv2d", 0, [[0, ACT], [1, WEIGHT]], ACT),
        rule("conv2d", 1, [[0, ACT], [1, WEIGHT]], shared(out("conv2d", 0))),
        rule("add", 0, [[0, shared(out("conv2d", 0))], [1, shared(out("conv2d", 0))]], ACT))),
    case("rules-implicit-sharing", "branch-reuse", rules(
        rule("relu", 0, [], MINMAX),
        rule("conv2d", 1, [[0, MINMAX], [1, WEIGHT]], MINMAX),
        rule("conv2d", 2, [[0, MINMAX], [1, WEIGHT]], MINMAX))),
    case("rules-no-implicit-sharing", "branch-reuse", rules(
        rule("relu", 0, [], MINMAX),
        rule("conv2d", 1, [[0, MINMAX], [1, WEIGHT]], MINMAX, allowImplicitSharing=False),
        rule("conv2d", 2, [[0, MINMAX], [1, WEIGHT]], MINMAX, allowImplicitSharing=False))),
    case("rules-two-specs-one-value", "branch-reuse", rules(
        rule("relu", 0, [], MINMAX),
        rule("conv2d", 1, [[0, MINMAX], [1, WEIGHT]], MINMAX),
        rule("conv2d", 2, [[0, INT16], [1, WEIGHT]], INT16))),
    case("rules-shared-input", "shared-conv-branches", rules(
        rule("conv2d", 0, [[0, MINMAX], [1, WEIGHT]], MINMAX),
        rule("conv2d", 1, [[0, shared(edge("conv2d", 0, 0))], [1, shared(edge("conv2d", 0, 1))]], shared(out("conv2d", 0))),
        rule("add", 0, [[0, MINMAX], [1, MINMAX]], MINMAX))),
    case("rules-shared-chain", "pool-functions", rules(
        rule("conv2d", 0, [[0, MINMAX], [1, WEIGHT]], MINMAX),
        rule("max_pool2d", 0, [[0, MINMAX]], shared(edge("max_pool2d", 0, 0))),
        rule("avg_pool2d", 0, [[0, shared(out("max_pool2d", 0))]], shared(edge("avg_pool2d", 0, 0))))),
    case("rules-output-only", "mlp", rules(rule("linear", 0, [], MINMAX), rule("linear", 1, [[1, WEIGHT_C]]))),
    case("rules-16-bit-activations", "mlp", rules(
        rule("linear", 0, [[0, INT16], [1, WEIGHT_C]]), rule("relu", 0, [], INT16), rule("linear", 1, [[0, INT16], [1, WEIGHT_C]], INT16))),
    case("error-composable-conflict", "mlp", {"kind": "composable", "quantizers": [
        rules(rule("linear", 0, [[0, ACT], [1, WEIGHT]])), rules(rule("linear", 0, [[0, INT16], [1, WEIGHT]]))]}, throws=True),
    case("error-shared-with-unannotated", "mlp", rules(rule("linear", 1, [[0, shared(edge("linear", 0, 0))], [1, WEIGHT]])), throws=True),
]

CASES = XNNPACK + FOLDING + X86 + OTHERS + CUSTOM
