"""Linear layers, and modules that only give their input another shape."""
import torch.nn.functional as F
from torch import nn


def cases(c):
    c.add("linear", nn.Linear(4, 3), c.randn(2, 5, 4))
    c.add("linear_no_bias", nn.Linear(4, 3, bias=False), c.randn(4))
    c.add("linear_function", None, c.randn(2, 4), c.randn(3, 4), c.randn(3), call=F.linear)
    c.add("bilinear", nn.Bilinear(3, 4, 2), c.randn(2, 5, 3), c.randn(2, 5, 4))
    c.add("bilinear_no_bias", nn.Bilinear(3, 4, 2, bias=False), c.randn(3, 3), c.randn(3, 4))
    c.add("bilinear_vectors", nn.Bilinear(3, 4, 2), c.randn(3), c.randn(4))
    c.add("bilinear_function", None, c.randn(2, 3), c.randn(2, 2), c.randn(4, 3, 2), c.randn(4), call=F.bilinear)
    c.add("identity", nn.Identity(), c.randn(2, 3))
    c.add("flatten", nn.Flatten(), c.randn(2, 3, 4))
    c.add("flatten_dims", nn.Flatten(0, -2), c.randn(2, 3, 4))
    c.add("unflatten", nn.Unflatten(1, (2, 3)), c.randn(2, 6))
    c.add("unflatten_rest", nn.Unflatten(-2, (2, -1, 1)), c.randn(3, 8, 2))
    c.add("mlp", nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), c.randn(3, 4))
