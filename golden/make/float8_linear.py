"""Linear layers with 8-bit float weights, by torchao's definition in PyTorch's own casts.

torchao's Float8Tensor needs kernels that CPUs lack, so the definition is spelled out: scale = amax / 448, integers of the
8-bit grid by PyTorch's cast, sums of exact products in float64, then the scales and the bias in float32.
"""
import torch

from common import Suite, randn, rng

MAX = 448.0


def rounded(x, per_row, scale=None):
    if scale is None:
        amax = x.abs().amax(-1, keepdim=True) if per_row else x.abs().amax()
        scale = amax / MAX
    return (x / scale).clamp(-MAX, MAX).to(torch.float8_e4m3fn).float(), scale


def main():
    suite = Suite("float8-linear", "float8_linear.py")
    for name, per_row, activation in [
        ("weight-only-row", True, None), ("weight-only-tensor", False, None), ("dynamic-tensor", False, "dynamic"),
        ("dynamic-row", True, "dynamic"), ("static", False, "static"),
    ]:
        gen = rng(f"float8 {name}")
        x, weight, bias = randn(gen, 5, 64, scale=2.0), randn(gen, 12, 64, scale=0.3), randn(gen, 12)
        qdata, scale = rounded(weight, per_row)
        given = torch.tensor([0.02]) if activation == "static" else None
        if activation is None:
            output = torch.nn.functional.linear(x.double(), (qdata * scale).double(), bias.double()).float()
        else:
            q, own = rounded(x, per_row, given)
            output = (q.double() @ qdata.double().T).float() * own * scale.reshape(-1) + bias
        inputs = {"x": x, "weight": weight, "bias": bias, **({"scale": given} if given is not None else {})}
        suite.case(name, "Float8Linear", inputs, {"perRow": per_row, "activation": activation}, {"qdata": qdata, "scale": scale.reshape(-1), "output": output})
    suite.write()


if __name__ == "__main__":
    main()
