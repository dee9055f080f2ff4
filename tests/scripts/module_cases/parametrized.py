"""Layers whose weight is computed: weight normalisation and spectral normalisation."""
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


def several(m, x):
    """Power iteration goes on with every forward pass in training."""
    return m(x), m(x * 2), m(x - 1)


def cases(c):
    c.add("weight_norm", weight_norm(nn.Linear(4, 3)), c.randn(5, 4))
    c.add("weight_norm_dim_1", weight_norm(nn.Linear(4, 3, bias=False), dim=1), c.randn(5, 4))
    c.add("weight_norm_last_dim", weight_norm(nn.Conv2d(2, 3, 3), dim=-2), c.randn(2, 2, 5, 5))
    c.add("weight_norm_whole", weight_norm(nn.Linear(4, 3), dim=None), c.randn(5, 4), vectors=False)
    c.add("weight_norm_conv1d", weight_norm(nn.Conv1d(2, 3, 3, padding=1)), c.randn(2, 2, 6))
    c.add("weight_norm_conv_transpose", weight_norm(nn.ConvTranspose2d(2, 3, 2)), c.randn(2, 2, 3, 3))
    c.add("spectral_norm", spectral_norm(nn.Linear(4, 3)), c.randn(5, 4), call=several)
    c.add("spectral_norm_eval", spectral_norm(nn.Linear(4, 3)), c.randn(5, 4), call=several, train=False)
    c.add("spectral_norm_options", spectral_norm(nn.Linear(4, 3), n_power_iterations=3, eps=1e-3, dim=1), c.randn(5, 4))
    c.add("spectral_norm_conv", spectral_norm(nn.Conv2d(2, 3, 3)), c.randn(2, 2, 5, 5), call=several)
    c.add("spectral_norm_conv_transpose", spectral_norm(nn.ConvTranspose1d(2, 3, 3)), c.randn(2, 2, 5), call=several)
