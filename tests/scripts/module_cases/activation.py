"""Activations, at random places, at kinks and far out."""
import torch
import torch.nn.functional as F
from torch import nn


def cases(c):
    # The first row holds the kinks of all of them, and values far out.
    special = torch.tensor([0.0, -0.5, 0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 25.0, -40.0])
    x = lambda: torch.stack([special, *(c.randn(2, 10) * 2)])
    layers = {
        "relu": nn.ReLU(), "relu6": nn.ReLU6(), "leaky_relu": nn.LeakyReLU(), "leaky_relu_slope": nn.LeakyReLU(1e-5),
        "elu": nn.ELU(), "elu_alpha": nn.ELU(1.75), "selu": nn.SELU(), "celu": nn.CELU(), "celu_alpha": nn.CELU(0.5),
        "gelu": nn.GELU(), "gelu_tanh": nn.GELU(approximate="tanh"), "silu": nn.SiLU(), "mish": nn.Mish(),
        "softplus": nn.Softplus(), "softplus_options": nn.Softplus(2.5, 3.0), "softsign": nn.Softsign(),
        "hardtanh": nn.Hardtanh(), "hardtanh_bounds": nn.Hardtanh(-0.5, 3.0), "hardswish": nn.Hardswish(),
        "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "logsigmoid": nn.LogSigmoid(), "tanhshrink": nn.Tanhshrink(),
        "softshrink": nn.Softshrink(), "softshrink_lambd": nn.Softshrink(1.0), "hardshrink": nn.Hardshrink(),
        "hardshrink_lambd": nn.Hardshrink(1.0), "threshold": nn.Threshold(0.5, 20.0),
    }
    for name, layer in layers.items():
        c.add(name, layer, x())
    # PyTorch's f64 gradient takes 1/6 in single precision, so between the kinks only the values are compared.
    c.add("hardsigmoid", nn.Hardsigmoid(), torch.tensor([-4.0, -3.0, 3.0, 5.0]))
    c.add("hardsigmoid_between", nn.Hardsigmoid(), x(), constant=(0,))
    c.add("hardsigmoid_function", None, x(), constant=(0,), call=F.hardsigmoid)
    c.add("prelu", nn.PReLU(), x(), vectors=False)
    c.add("prelu_channels", nn.PReLU(3), c.randn(2, 3, 2, 2))
    c.add("prelu_init", nn.PReLU(2, init=0.1), c.randn(4, 2), vectors=False)
    c.add("softmax", nn.Softmax(dim=1), c.randn(2, 3, 4))
    c.add("softmin", nn.Softmin(dim=-1), c.randn(2, 3, 4))
    c.add("log_softmax", nn.LogSoftmax(dim=-1), c.randn(2, 3, 4) * 20)
    c.add("glu", nn.GLU(), c.randn(3, 4))
    c.add("glu_dim", nn.GLU(0), c.randn(4, 3))

    def functions(*v):
        return (
            F.relu(v[0]), F.relu6(v[0]), F.leaky_relu(v[0], 0.2), F.prelu(v[0], v[1]), F.elu(v[0], 0.5), F.celu(v[0], 1.5),
            F.selu(v[0]), F.gelu(v[0]), F.gelu(v[0], approximate="tanh"), F.silu(v[0]), F.mish(v[0]), F.softplus(v[0], 2, 3),
            F.softsign(v[0]), F.hardtanh(v[0], -0.5, 0.25), F.hardswish(v[0]), F.sigmoid(v[0]), F.logsigmoid(v[0]),
            F.tanh(v[0]), F.tanhshrink(v[0]), F.softshrink(v[0], 0.3), F.hardshrink(v[0], 0.3), F.threshold(v[0], 0.1, 7.0),
            F.glu(v[0], 0), F.softmax(v[0], 0), F.log_softmax(v[0], 1), F.softmin(v[0], 0),
        )

    c.add("functions", None, c.randn(2, 3), c.rand(1), call=functions)
