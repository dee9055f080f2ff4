"""Other sizes, other places, and borders."""
import torch
import torch.nn.functional as F
from torch import nn


def cases(c):
    line, image, volume = (lambda: c.randn(2, 2, 5)), (lambda: c.randn(1, 2, 3, 4)), (lambda: c.randn(1, 1, 2, 3, 2))
    for mode in ["nearest", "nearest-exact", "area"]:
        c.add(f"upsample_{mode}_1d", nn.Upsample(scale_factor=1.7, mode=mode), line())
        c.add(f"upsample_{mode}_2d", nn.Upsample(size=(5, 3), mode=mode), image())
        c.add(f"upsample_{mode}_3d", nn.Upsample(scale_factor=(2, 1.5, 2.5), mode=mode), volume())
    for mode, x in [("linear", line), ("bilinear", image), ("bicubic", image), ("trilinear", volume)]:
        for name, align in [("", False), ("_corners", True)]:
            c.add(f"upsample_{mode}{name}", nn.Upsample(size=7, mode=mode, align_corners=align), x())
            c.add(f"upsample_{mode}_factor{name}", nn.Upsample(scale_factor=1.7, mode=mode, align_corners=align), x())
            c.add(f"upsample_{mode}_smaller{name}", nn.Upsample(scale_factor=0.6, mode=mode, align_corners=align), x())
        recompute = nn.Upsample(scale_factor=1.7, mode=mode, recompute_scale_factor=True)
        c.add(f"upsample_{mode}_recompute", recompute, x())
    c.add("upsample_bilinear_factors", nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), image())
    c.add("upsample_bicubic_to_one", nn.Upsample(size=1, mode="bicubic", align_corners=True), image())
    c.add("upsample_nearest_factor", nn.Upsample(scale_factor=2), line())

    c.add("pixel_shuffle", nn.PixelShuffle(2), c.randn(2, 8, 2, 3))
    c.add("pixel_unshuffle", nn.PixelUnshuffle(3), c.randn(2, 3, 6))
    c.add("channel_shuffle", nn.ChannelShuffle(2), c.randn(2, 6, 2))

    sides = {1: (1, 2), 2: (1, 2, 0, 1)}
    for d, x in [(1, line), (2, image)]:
        c.add(f"zero_pad_{d}d", getattr(nn, f"ZeroPad{d}d")(2), x())
        c.add(f"zero_pad_{d}d_sides", getattr(nn, f"ZeroPad{d}d")(tuple(n - 1 for n in sides[d])), x())
        c.add(f"constant_pad_{d}d", getattr(nn, f"ConstantPad{d}d")(sides[d], 3.5), x())
        for kind in ["Reflection", "Replication", "Circular"]:
            c.add(f"{kind.lower()}_pad_{d}d", getattr(nn, f"{kind}Pad{d}d")(1), x())
            c.add(f"{kind.lower()}_pad_{d}d_sides", getattr(nn, f"{kind}Pad{d}d")(sides[d]), x()[0])

    def functions(*v):
        return (
            F.pad(v[0], (1, -1, 0, 2), value=2.0), F.pad(v[0], (1, 0), mode="reflect"),
            F.interpolate(v[0], scale_factor=2.0, mode="linear"), F.pixel_shuffle(v[1], 2), F.pixel_unshuffle(v[1], 2),
            F.channel_shuffle(v[1], 2), F.one_hot(v[2], 4),
        )

    c.add("functions", None, c.randn(1, 2, 3), c.randn(1, 4, 2, 2), torch.tensor([1, 3]), call=functions)
