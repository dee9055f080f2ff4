"""Convolutions and transposed convolutions, batched and not."""
from torch import nn
from torch.nn import functional as F


def cases(c):
    c.add("conv1d", nn.Conv1d(4, 3, 3), c.randn(2, 4, 6))
    c.add("conv1d_unbatched", nn.Conv1d(4, 3, 3), c.randn(4, 6))
    c.add("conv1d_no_bias", nn.Conv1d(2, 3, 3, bias=False), c.randn(2, 2, 5))
    c.add("conv1d_stride", nn.Conv1d(2, 3, 3, stride=2, padding=1), c.randn(2, 2, 8))
    c.add("conv1d_dilation", nn.Conv1d(2, 3, 3, padding=2, dilation=2), c.randn(2, 2, 5))
    c.add("conv1d_groups", nn.Conv1d(4, 6, 2, groups=2), c.randn(2, 4, 5))
    c.add("conv1d_depthwise", nn.Conv1d(3, 6, 3, groups=3, bias=False), c.randn(2, 3, 5))
    c.add("conv1d_same", nn.Conv1d(2, 3, 4, padding="same", dilation=1), c.randn(2, 2, 5))
    c.add("conv1d_valid", nn.Conv1d(2, 3, 4, padding="valid", stride=2), c.randn(2, 2, 7))
    for mode in ("reflect", "replicate", "circular"):
        c.add(f"conv1d_{mode}", nn.Conv1d(2, 3, 3, padding=2, padding_mode=mode), c.randn(2, 2, 5))
        c.add(f"conv1d_{mode}_unbatched", nn.Conv1d(2, 3, 3, padding=1, padding_mode=mode), c.randn(2, 4))
        c.add(f"conv1d_{mode}_same", nn.Conv1d(2, 3, 4, padding="same", padding_mode=mode), c.randn(2, 2, 5))

    c.add("conv2d", nn.Conv2d(3, 4, 3), c.randn(2, 3, 5, 4))
    c.add("conv2d_unbatched", nn.Conv2d(3, 4, 3), c.randn(3, 5, 4))
    c.add("conv2d_pairs", nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2)), c.randn(2, 2, 6, 4))
    c.add("conv2d_no_bias", nn.Conv2d(2, 3, 2, stride=2, bias=False), c.randn(2, 2, 5, 5))
    c.add("conv2d_one_by_one", nn.Conv2d(4, 3, 1), c.randn(2, 4, 2, 3))
    c.add("conv2d_groups", nn.Conv2d(4, 2, 2, groups=2, padding=1), c.randn(2, 4, 2, 3))
    c.add("conv2d_depthwise", nn.Conv2d(3, 3, 3, groups=3, padding=1), c.randn(2, 3, 3, 4))
    c.add("conv2d_same", nn.Conv2d(2, 3, (2, 3), padding="same", dilation=(3, 1)), c.randn(2, 2, 4, 3))
    c.add("conv2d_valid", nn.Conv2d(2, 3, 2, padding="valid"), c.randn(2, 2, 3, 3))
    for mode in ("reflect", "replicate", "circular"):
        options = {"padding": (2, 1), "padding_mode": mode}
        c.add(f"conv2d_{mode}", nn.Conv2d(2, 3, 3, stride=2, **options), c.randn(2, 2, 3, 4))
        c.add(f"conv2d_{mode}_unbatched", nn.Conv2d(2, 2, (3, 2), bias=False, **options), c.randn(2, 3, 4))
        c.add(f"conv2d_{mode}_same", nn.Conv2d(2, 3, (2, 3), padding="same", padding_mode=mode), c.randn(2, 2, 3, 4))
    c.add("conv2d_reflect_valid", nn.Conv2d(2, 3, 2, padding="valid", padding_mode="reflect"), c.randn(2, 2, 3, 3))
    c.add("conv2d_no_images", nn.Conv2d(2, 3, 2), c.randn(0, 2, 3, 3))

    up = nn.ConvTranspose1d
    size = lambda *s: lambda module, x: module(x, output_size=list(s))
    c.add("conv_transpose1d", up(3, 2, 3), c.randn(2, 3, 4))
    c.add("conv_transpose1d_unbatched", up(3, 2, 3, stride=2), c.randn(3, 4))
    c.add("conv_transpose1d_no_bias", up(3, 2, 2, bias=False), c.randn(2, 3, 4))
    c.add("conv_transpose1d_options", up(3, 2, 3, stride=3, padding=1, output_padding=2, dilation=2), c.randn(2, 3, 4))
    c.add("conv_transpose1d_groups", up(4, 6, 3, stride=2, groups=2), c.randn(2, 4, 3))
    c.add("conv_transpose1d_output_size", up(3, 2, 3, stride=2, output_padding=1), c.randn(2, 3, 4), call=size(9))
    c.add("conv_transpose1d_output_shape", up(3, 2, 3, stride=2), c.randn(2, 3, 4), call=size(2, 2, 10))
    c.add("conv_transpose1d_output_unbatched", up(3, 2, 3, stride=3, dilation=2), c.randn(3, 4), call=size(2, 16))

    up = nn.ConvTranspose2d
    c.add("conv_transpose2d", up(3, 2, 3), c.randn(2, 3, 2, 3))
    c.add("conv_transpose2d_unbatched", up(3, 2, 2, stride=2), c.randn(3, 2, 3))
    c.add("conv_transpose2d_no_bias", up(3, 2, 2, bias=False), c.randn(2, 3, 2, 3))
    c.add(
        "conv_transpose2d_pairs",
        up(2, 3, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2), dilation=(2, 1)), c.randn(2, 2, 3, 2))
    c.add("conv_transpose2d_groups", up(4, 2, 3, stride=2, padding=1, groups=2), c.randn(2, 4, 2, 3))
    c.add("conv_transpose2d_output_size", up(2, 3, 3, stride=2, padding=1), c.randn(2, 2, 3, 2), call=size(6, 3))
    c.add("conv_transpose2d_output_shape", up(2, 3, 3, stride=2), c.randn(2, 2, 2, 2), call=size(9, 9, 5, 6))
    c.add("conv_transpose2d_output_unbatched", up(2, 3, 3, stride=(1, 2)), c.randn(2, 2, 2), call=size(4, 6))

    def functions(line, image, weight, kernel, bias):
        return [
            F.conv1d(line, weight, bias, stride=2, padding=1),
            F.conv2d(image, kernel, bias, padding="same", dilation=(2, 1)),
            F.conv_transpose1d(line, weight, bias, stride=2, output_padding=1),
            F.conv_transpose2d(image, kernel, padding=1)]

    c.add(
        "functions", None, c.randn(2, 2, 5), c.randn(2, 2, 3, 4), c.randn(2, 2, 3), c.randn(2, 2, 3, 3), c.randn(2),
        call=functions)

    # Down and up again.
    c.add(
        "autoencoder",
        nn.Sequential(
            nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.Tanh(),
            nn.ConvTranspose2d(3, 1, 3, stride=2, padding=1, output_padding=1)),
        c.randn(2, 1, 4, 6))
