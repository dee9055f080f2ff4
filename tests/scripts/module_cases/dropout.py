"""Dropout in evaluation, and where chance has no say: nothing dropped, or everything."""
import torch.nn.functional as F
from torch import nn


def cases(c):
    kinds = [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout]
    for kind in kinds:
        name = kind.__name__
        c.add(f"{name}_eval", kind(0.3), c.randn(2, 3, 4), train=False)
        c.add(f"{name}_none", kind(0.0), c.randn(2, 3, 4))
        c.add(f"{name}_all", kind(1.0), c.randn(2, 3, 4))
    functions = [F.dropout, F.dropout1d, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout]
    c.add("functions", None, c.randn(2, 3, 4), call=lambda x: tuple(f(x, 0.4, training=False) for f in functions))
