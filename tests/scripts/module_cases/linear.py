"""Linear layers, and modules that only arrange."""
from torch import nn


def cases(c):
    c.add("linear", nn.Linear(4, 3), c.randn(2, 5, 4))
    c.add("linear_no_bias", nn.Linear(4, 3, bias=False), c.randn(4))
    c.add("identity", nn.Identity(), c.randn(2, 3))
    c.add("flatten", nn.Flatten(), c.randn(2, 3, 4))
    c.add("flatten_dims", nn.Flatten(0, -2), c.randn(2, 3, 4))
    c.add("mlp", nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), c.randn(3, 4))
