"""Recurrent modules, losses, optimizer trajectories and learning-rate sequences."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from common import Suite, randn, rng, seed_of
from float_ops import op


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value for t in flat(v)]


def recurrent(s):
    grid = [
        ("RNN", dict(input_size=3, hidden_size=4)),
        ("RNN", dict(input_size=3, hidden_size=4, nonlinearity="relu", num_layers=2)),
        ("LSTM", dict(input_size=3, hidden_size=4)),
        ("LSTM", dict(input_size=3, hidden_size=4, num_layers=2, batch_first=True)),
        ("LSTM", dict(input_size=3, hidden_size=4, bidirectional=True, num_layers=2)),
        ("LSTM", dict(input_size=3, hidden_size=4, bias=False)),
        ("LSTM", dict(input_size=3, hidden_size=4, proj_size=2)),
        ("GRU", dict(input_size=3, hidden_size=4)),
        ("GRU", dict(input_size=3, hidden_size=4, num_layers=2, bidirectional=True, batch_first=True)),
        ("GRU", dict(input_size=3, hidden_size=4, bias=False)),
    ]
    names = {"input_size": "inputSize", "hidden_size": "hiddenSize", "num_layers": "numLayers", "batch_first": "batchFirst", "proj_size": "projSize"}
    for kind, kw in grid:
        for given in (False, True):
            attrs = {names.get(k, k): v for k, v in kw.items()}
            label = f"{kind} {' '.join(f'{k}={v}' for k, v in attrs.items() if k not in ('inputSize', 'hiddenSize'))} state={int(given)}"
            torch.manual_seed(seed_of(label))
            gen = rng(label)
            module = getattr(nn, kind)(**kw)
            x = randn(gen, 2, 5, 3) if kw.get("batch_first") else randn(gen, 5, 2, 3)
            x.requires_grad_()
            layers = kw.get("num_layers", 1) * (2 if kw.get("bidirectional") else 1)
            h0 = randn(gen, layers, 2, kw.get("proj_size", 4))
            state = (h0, randn(gen, layers, 2, 4)) if kind == "LSTM" else h0
            result = flat(module(x, state) if given else module(x))
            g = randn(gen, *result[0].shape)
            result[0].backward(g)
            inputs = {"x": x, "state": dict(module.state_dict()), "gradOutput": g}
            if given:
                inputs["hx"] = flat(state)
            s.case(label, kind, inputs, attrs, {"outputs": result, "grads": {"x": x.grad, **{k: p.grad for k, p in module.named_parameters()}}})
    for kind, kw in (("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {}), ("LSTMCell", {"bias": False})):
        label = f"{kind} {kw or ''}".strip()
        torch.manual_seed(seed_of(label))
        gen = rng(label)
        module = getattr(nn, kind)(3, 4, **kw)
        x, h = randn(gen, 2, 3).requires_grad_(), randn(gen, 2, 4)
        hx = (h, randn(gen, 2, 4)) if kind == "LSTMCell" else h
        result = flat(module(x, hx))
        g = randn(gen, 2, 4)
        result[0].backward(g)
        s.case(label, kind, {"x": x, "hx": flat(hx), "state": dict(module.state_dict()), "gradOutput": g}, {"inputSize": 3, "hiddenSize": 4, **kw}, {"outputs": result, "grads": {"x": x.grad, **{k: p.grad for k, p in module.named_parameters()}}})


def losses(s):
    gen = rng("losses")
    logits, target = randn(gen, 5, 4, scale=2.0), torch.tensor([0, 3, 1, 1, 2])
    weight = torch.tensor([0.5, 1.0, 2.0, 0.25])
    for reduction in ("mean", "sum", "none"):
        op(s, reduction, "crossEntropy", lambda input, target, r=reduction: F.cross_entropy(input, target, reduction=r), {"input": logits, "target": target}, {"reduction": reduction})
        op(s, f"{reduction} smoothed", "crossEntropy", lambda input, target, r=reduction: F.cross_entropy(input, target, reduction=r, label_smoothing=0.1), {"input": logits, "target": target}, {"reduction": reduction, "labelSmoothing": 0.1})
        op(s, f"{reduction} ignored", "crossEntropy", lambda input, target, r=reduction: F.cross_entropy(input, target, reduction=r, ignore_index=1), {"input": logits, "target": target}, {"reduction": reduction, "ignoreIndex": 1})
        x, y = randn(gen, 3, 4), randn(gen, 3, 4)
        op(s, reduction, "mseLoss", lambda input, target, r=reduction: F.mse_loss(input, target, reduction=r), {"input": x, "target": y}, {"reduction": reduction})
        op(s, reduction, "l1Loss", lambda input, target, r=reduction: F.l1_loss(input, target, reduction=r), {"input": x, "target": y}, {"reduction": reduction})
        p = torch.rand(3, 4, generator=gen) * 0.98 + 0.01
        t = torch.rand(3, 4, generator=gen)
        op(s, reduction, "binaryCrossEntropy", lambda input, target, r=reduction: F.binary_cross_entropy(input, target, reduction=r), {"input": p, "target": t}, {"reduction": reduction})
    op(s, "saturated", "binaryCrossEntropy", lambda input, target: F.binary_cross_entropy(input, target, reduction="none"), {"input": torch.tensor([0.0, 1.0, 0.0, 1.0]), "target": torch.tensor([0.0, 1.0, 1.0, 0.0])}, {"reduction": "none"}, gradient=False)
    spatial = randn(gen, 2, 3, 2, 2)
    op(s, "spatial", "crossEntropy", lambda input, target: F.cross_entropy(input, target), {"input": spatial, "target": torch.randint(0, 3, (2, 2, 2), generator=gen)}, {"reduction": "mean"})
    op(s, "weighted", "crossEntropy", lambda input, target: F.cross_entropy(input, target, weight=weight), {"input": logits, "target": target}, {"reduction": "mean", "weight": weight})


class Twin(nn.Module):
    """Two parameters under a fixed quadratic-like loss: enough to see every term of an update."""

    def __init__(self, w, b):
        super().__init__()
        self.w, self.b = nn.Parameter(w.clone()), nn.Parameter(b.clone())


def optimizers(s):
    grid = [
        ("SGD", dict(lr=0.1)), ("SGD", dict(lr=0.1, momentum=0.9)), ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True)), ("SGD", dict(lr=0.05, momentum=0.8, dampening=0.1)), ("SGD", dict(lr=0.1, weight_decay=0.01)), ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)), ("SGD", dict(lr=0.1, maximize=True)),
        ("Adam", dict(lr=0.01)), ("Adam", dict(lr=0.05, betas=(0.8, 0.99), eps=1e-6)), ("Adam", dict(lr=0.01, weight_decay=0.1)), ("Adam", dict(lr=0.01, amsgrad=True)),
        ("AdamW", dict(lr=0.01)), ("AdamW", dict(lr=0.05, weight_decay=0.2)), ("AdamW", dict(lr=0.01, amsgrad=True)),
    ]
    names = {"weight_decay": "weightDecay"}
    for kind, kw in grid:
        attrs = {names.get(k, k): v for k, v in kw.items()}
        label = f"{kind} {attrs}"
        gen = rng(label)
        w, b = randn(gen, 3, 4), randn(gen, 4)
        module = Twin(w, b)
        optimizer = getattr(torch.optim, kind)(module.parameters(), **kw, foreach=False)
        grads, states = [], []
        for _ in range(6):
            gw, gb = randn(gen, 3, 4), randn(gen, 4, scale=0.1)
            module.w.grad, module.b.grad = gw.clone(), gb.clone()
            optimizer.step()
            grads.append({"w": gw, "b": gb})
            states.append({"w": module.w.detach().clone(), "b": module.b.detach().clone()})
        s.case(label, kind, {"w": w, "b": b, "grads": grads}, attrs, {"states": states})


def schedulers(s):
    L = torch.optim.lr_scheduler
    grid = [
        ("StepLR", dict(step_size=3, gamma=0.5)), ("MultiStepLR", dict(milestones=[2, 5], gamma=0.1)), ("ExponentialLR", dict(gamma=0.9)), ("CosineAnnealingLR", dict(T_max=8, eta_min=0.001)), ("CosineAnnealingLR", dict(T_max=4)), ("LinearLR", dict(start_factor=0.25, total_iters=5)), ("ConstantLR", dict(factor=0.5, total_iters=4)), ("PolynomialLR", dict(total_iters=6, power=2.0)), ("OneCycleLR", dict(max_lr=0.5, total_steps=12)), ("CosineAnnealingWarmRestarts", dict(T_0=3, T_mult=2)),
    ]
    names = {"step_size": "stepSize", "T_max": "tMax", "eta_min": "etaMin", "start_factor": "startFactor", "total_iters": "totalIters", "max_lr": "maxLr", "total_steps": "totalSteps", "T_0": "t0", "T_mult": "tMult"}
    for kind, kw in grid:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        scheduler = getattr(L, kind)(optimizer, **kw)
        lrs = [optimizer.param_groups[0]["lr"]]
        for _ in range(11):
            optimizer.step()
            scheduler.step()
            lrs.append(optimizer.param_groups[0]["lr"])
        attrs = {names.get(k, k): v for k, v in kw.items()}
        s.case(f"{kind} {attrs}", kind, {}, {"lr": 0.1, **attrs}, {"lrs": lrs})
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = L.LambdaLR(optimizer, lambda epoch: 0.8**epoch)
    lrs = [0.1]
    for _ in range(6):
        optimizer.step()
        scheduler.step()
        lrs.append(optimizer.param_groups[0]["lr"])
    s.case("LambdaLR 0.8**epoch", "LambdaLR", {}, {"lr": 0.1, "base": 0.8}, {"lrs": lrs})
    metrics = [1.0, 0.9, 0.91, 0.92, 0.93, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = L.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    lrs = []
    for metric in metrics:
        optimizer.step()
        scheduler.step(metric)
        lrs.append(optimizer.param_groups[0]["lr"])
    s.case("ReduceLROnPlateau", "ReduceLROnPlateau", {"metrics": metrics}, {"lr": 0.1, "factor": 0.5, "patience": 2}, {"lrs": lrs})


def main():
    s = Suite("training", "training.py")
    for make in (recurrent, losses, optimizers, schedulers):
        make(s)
    s.write()


if __name__ == "__main__":
    main()
