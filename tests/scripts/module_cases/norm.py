"""Normalisations. Those with running statistics see several batches in training, with gradients and without, before they
evaluate; the buffers are compared afterwards.
"""
import torch
from torch import nn
from torch.nn import functional as F


def steps(module, *batches):
    """Training on all batches but the last, on the second without gradients; evaluation of the last."""
    outputs = []
    for i, x in enumerate(batches[:-1]):
        with torch.set_grad_enabled(i != 1):
            outputs.append(module(x))
    module.eval()
    return [*outputs, module(batches[-1])]


def cases(c):
    c.add("layer_norm", nn.LayerNorm(6), c.randn(2, 3, 6))
    c.add("layer_norm_2d", nn.LayerNorm([3, 4], eps=1e-3), c.randn(2, 3, 4))
    c.add("layer_norm_plain", nn.LayerNorm(6, elementwise_affine=False), c.randn(3, 6))
    c.add("layer_norm_no_bias", nn.LayerNorm(6, bias=False), c.randn(6))
    c.add("rms_norm", nn.RMSNorm(6, eps=1e-6), c.randn(2, 3, 6))
    c.add("rms_norm_2d", nn.RMSNorm([3, 4], eps=1e-3), c.randn(2, 3, 4))
    c.add("rms_norm_plain", nn.RMSNorm(6, elementwise_affine=False), c.randn(3, 6))

    c.add("group_norm", nn.GroupNorm(2, 4), c.randn(3, 4, 5))
    c.add("group_norm_image", nn.GroupNorm(3, 6, eps=1e-3), c.randn(2, 6, 3, 2))
    c.add("group_norm_rows", nn.GroupNorm(2, 6), c.randn(3, 6))
    c.add("group_norm_one_group", nn.GroupNorm(1, 3), c.randn(2, 3, 2, 1, 3))
    c.add("group_norm_no_bias", nn.GroupNorm(4, 4, bias=False), c.randn(2, 4, 3))
    c.add("group_norm_plain", nn.GroupNorm(2, 4, affine=False), c.randn(2, 4, 3))
    # The number of channels counts only for the parameters.
    c.add("group_norm_other_channels", nn.GroupNorm(2, 4, affine=False), c.randn(2, 6, 3))

    for family, rank, make in (("1d", 1, nn.BatchNorm1d), ("2d", 2, nn.BatchNorm2d)):
        size = [3, 4][-rank:]
        x = lambda n=3: c.randn(n, 2, *size) * 2 + 1
        name = f"batch_norm{family}"
        c.add(name, make(2), x())
        c.add(f"{name}_eval", make(2), x(), train=False)
        c.add(f"{name}_options", make(2, eps=1e-3, momentum=0.4), x())
        c.add(f"{name}_plain", make(2, affine=False), x())
        c.add(f"{name}_no_bias", make(2, bias=False), x())
        c.add(f"{name}_untracked", make(2, track_running_stats=False), x())
        c.add(f"{name}_untracked_eval", make(2, track_running_stats=False), x(), train=False)
        c.add(f"{name}_steps", make(2), x(), x(2), x(4), x(), call=steps)
        c.add(f"{name}_steps_options", make(2, momentum=0.3, affine=False), x(), x(2), x(4), x(), call=steps)
        c.add(f"{name}_steps_cumulative", make(2, momentum=None), x(), x(2), x(4), x(), call=steps)
        c.add(f"{name}_steps_untracked", make(2, track_running_stats=False), x(), x(2), x(4), x(), call=steps)
    c.add("batch_norm1d_rows", nn.BatchNorm1d(3), c.randn(4, 3))
    c.add("batch_norm1d_rows_eval", nn.BatchNorm1d(3), c.randn(1, 3), train=False)
    c.add("batch_norm1d_rows_steps", nn.BatchNorm1d(3), c.randn(4, 3), c.randn(2, 3), c.randn(1, 3), call=steps)
    c.add("batch_norm1d_no_rows", nn.BatchNorm1d(3), c.randn(0, 3))
    # Without parameters and running statistics the number of features does not count.
    c.add("batch_norm1d_other_features", nn.BatchNorm1d(3, affine=False, track_running_stats=False), c.randn(3, 4))

    for family, rank, make in (("1d", 1, nn.InstanceNorm1d), ("2d", 2, nn.InstanceNorm2d)):
        size = [3, 4][-rank:]
        x = lambda *n: c.randn(*n, 2, *size) * 2 + 1
        name = f"instance_norm{family}"
        tracked = {"track_running_stats": True}
        c.add(name, make(2), x(3))
        c.add(f"{name}_eval", make(2), x(3), train=False)
        c.add(f"{name}_unbatched", make(2), x())
        c.add(f"{name}_affine", make(2, eps=1e-3, affine=True), x(3))
        c.add(f"{name}_affine_unbatched", make(2, affine=True), x())
        c.add(f"{name}_no_bias", make(2, affine=True, bias=False), x(3))
        c.add(f"{name}_tracked", make(2, **tracked), x(3))
        c.add(f"{name}_tracked_unbatched", make(2, **tracked), x())
        c.add(f"{name}_steps", make(2, affine=True, **tracked), x(3), x(2), x(4), x(3), call=steps)
        c.add(f"{name}_steps_options", make(2, momentum=0.3, **tracked), x(3), x(), x(1), x(), call=steps)
        c.add(f"{name}_steps_untracked", make(2, affine=True), x(3), x(2), x(4), x(3), call=steps)
    c.add("instance_norm1d_other_channels", nn.InstanceNorm1d(2), c.randn(2, 3, 4))

    def functions(x, weight, bias):
        """Everything in training, and batch norm and instance norm in evaluation, with statistics."""
        mean, var = torch.linspace(-1, 1, 4), torch.linspace(0.5, 2, 4)
        parameters = {"weight": weight, "bias": bias, "eps": 1e-3}
        trained = [(mean.clone(), var.clone()) for _ in range(2)]
        outputs = [
            F.layer_norm(x, [4], **parameters),
            F.rms_norm(x, [4], weight, 1e-3),
            F.group_norm(x, 2, **parameters),
            F.batch_norm(x, *trained[0], training=True, momentum=0.3, **parameters),
            F.batch_norm(x, mean, var, **parameters),
            F.batch_norm(x, None, None, training=True),
            F.instance_norm(x, *trained[1], momentum=0.3, **parameters),
            F.instance_norm(x, mean, var, use_input_stats=False, **parameters),
            F.instance_norm(x)]
        return [*outputs, *trained[0], *trained[1]]

    c.add("functions", None, c.randn(3, 4, 4), c.randn(4), c.randn(4), call=functions)

    c.add(
        "batch_normed_net",
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4)),
        *(3 * c.randn(n, 2, 4, 3) for n in (5, 4, 6, 1)), call=steps)
