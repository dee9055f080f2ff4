"""Pooling, batched and not, with indices where there are any."""
from torch import nn
from torch.nn import functional as F


def cases(c):
    for name, rank, make in (("max_pool1d", 1, nn.MaxPool1d), ("max_pool2d", 2, nn.MaxPool2d)):
        x = lambda *lead, size=(5, 7): c.randn(*lead, *size[-rank:])
        c.add(name, make(2), x(2, 3))
        c.add(f"{name}_unbatched", make(3, stride=1), x(3))
        c.add(f"{name}_options", make(3, stride=2, padding=1, dilation=2), x(2, 2))
        c.add(f"{name}_ceil", make(2, stride=2, ceil_mode=True), x(2, 2))
        c.add(f"{name}_ceil_padding", make(3, stride=3, padding=1, ceil_mode=True), x(2, 2))
        c.add(f"{name}_indices", make(3, stride=1, padding=1, return_indices=True), x(2, 2))
        c.add(f"{name}_indices_unbatched", make(2, return_indices=True), x(2))
        c.add(f"{name}_ties", make(2, stride=1), c.randint(0, 2, (2, 2, *(5, 7)[-rank:])).double())
    c.add("avg_pool1d_tuple", nn.AvgPool1d((2,)), c.randn(2, 2, 5))
    c.add(
        "max_pool2d_pairs", nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), c.randn(2, 2, 5, 6))
    c.add("max_pool2d_pair_of_indices", nn.MaxPool2d((3, 2), return_indices=True), c.randn(2, 2, 7, 5))

    for name, rank, make in (("avg_pool1d", 1, nn.AvgPool1d), ("avg_pool2d", 2, nn.AvgPool2d)):
        x = lambda *lead, size=(5, 7): c.randn(*lead, *size[-rank:])
        c.add(name, make(2), x(2, 3))
        c.add(f"{name}_unbatched", make(3, stride=1), x(3))
        c.add(f"{name}_padding", make(3, stride=2, padding=1), x(2, 2))
        c.add(f"{name}_exclude_pad", make(3, stride=2, padding=1, count_include_pad=False), x(2, 2))
        c.add(f"{name}_ceil", make(2, ceil_mode=True), x(2, 2))
        c.add(f"{name}_ceil_padding", make(3, stride=3, padding=1, ceil_mode=True), x(2, 2))
        c.add(
            f"{name}_ceil_exclude_pad", make(3, stride=3, padding=1, ceil_mode=True, count_include_pad=False), x(2, 2))
    c.add("avg_pool2d_pairs", nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0)), c.randn(2, 2, 5, 6))
    c.add("avg_pool2d_divisor", nn.AvgPool2d(2, padding=1, divisor_override=3), c.randn(2, 2, 5, 4))

    for family, average, largest in (
            ("1d", nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d), ("2d", nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        rank = int(family[0])
        x = lambda *lead, size=(5, 7): c.randn(*lead, *size[-rank:])
        c.add(f"adaptive_avg_pool{family}", average(3), x(2, 3))
        c.add(f"adaptive_avg_pool{family}_unbatched", average(2), x(3))
        c.add(f"adaptive_avg_pool{family}_one", average(1), x(2, 3))
        c.add(f"adaptive_avg_pool{family}_wider", average(9), x(2, 2))
        c.add(f"adaptive_max_pool{family}", largest(3), x(2, 3))
        c.add(f"adaptive_max_pool{family}_unbatched", largest(2), x(3))
        c.add(f"adaptive_max_pool{family}_indices", largest(4, return_indices=True), x(2, 3))
        c.add(f"adaptive_max_pool{family}_indices_unbatched", largest(4, return_indices=True), x(3))
    for name, size in (("pair", (2, 3)), ("height_kept", (None, 3)), ("width_kept", (2, None)), ("kept", (None, None))):
        c.add(f"adaptive_avg_pool2d_{name}", nn.AdaptiveAvgPool2d(size), c.randn(2, 2, 5, 4))
        c.add(f"adaptive_max_pool2d_{name}", nn.AdaptiveMaxPool2d(size, return_indices=True), c.randn(2, 5, 4))

    def functions(line, image):
        return [
            F.max_pool1d(line, 3, stride=2),
            F.max_pool2d(image, (2, 3)),
            F.avg_pool1d(line, 3, padding=1),
            F.avg_pool2d(image, (2, 3)),
            F.adaptive_avg_pool1d(line, 3),
            F.adaptive_avg_pool2d(image, (None, 3)),
            F.adaptive_max_pool1d(line, 3),
            F.adaptive_max_pool2d(image, (2, None)),
            F.max_pool1d_with_indices(line, 2),
            F.max_pool2d_with_indices(image, 2, padding=1),
            F.adaptive_max_pool1d_with_indices(line, 3),
            F.adaptive_max_pool2d_with_indices(image, 2)]

    c.add("functions", None, c.randn(2, 2, 7), c.randn(2, 4, 5), call=functions)
