"""The losses: every option, each with the reductions none, mean and sum as three outputs."""
import torch
from torch import nn


def cases(c):
    def add(name, make, *inputs, call=lambda loss, *x: loss(*x), constant=(), reductions=("none", "mean", "sum")):
        each = lambda _, *x: [call(make(reduction=reduction), *x) for reduction in reductions]
        c.add(name, make(), *inputs, call=each, constant=constant)

    def options(loss, **given):
        return lambda **more: loss(**given, **more)

    classes(c, add, options)
    pairs(c, add, options)
    binary(c, add, options)
    distributions(c, add, options)
    margins(c, add, options)
    ctc(c, add, options)


def classes(c, add, options):
    ids = torch.tensor([2, 0, 3, -100])
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0, 0.1])
    image = c.randint(0, 4, (2, 3, 2))
    image[0, 0, 0] = image[1, 2, 1] = -100
    ce = nn.CrossEntropyLoss
    add("cross_entropy", ce, c.randn(4, 5), ids)
    add("cross_entropy_weight", options(ce, weight=weight), c.randn(4, 5), ids)
    add("cross_entropy_smooth", options(ce, label_smoothing=0.1), c.randn(4, 5), ids)
    add("cross_entropy_weight_smooth", options(ce, weight=weight, label_smoothing=0.2), c.randn(4, 5), ids)
    add("cross_entropy_ignore", options(ce, ignore_index=1), c.randn(4, 5), torch.tensor([1, 0, 4, 1]))
    add("cross_entropy_unbatched", options(ce, weight=weight), c.randn(5), torch.tensor(3))
    add("cross_entropy_series", ce, c.randn(2, 4, 3), c.randint(0, 4, (2, 3)))
    add("cross_entropy_image", options(ce, weight=weight[:4], label_smoothing=0.3), c.randn(2, 4, 3, 2), image)
    add("cross_entropy_probs", ce, c.randn(4, 5), c.randn(4, 5).softmax(1))
    everything = options(ce, weight=weight, label_smoothing=0.2)
    add("cross_entropy_probs_weight_smooth", everything, c.randn(4, 5), c.randn(4, 5).softmax(1))
    add("cross_entropy_probs_constant", everything, c.randn(4, 5), c.randn(4, 5).softmax(1), constant=(1,))
    add("cross_entropy_probs_unbatched", ce, c.randn(5), c.randn(5).softmax(0))
    add("cross_entropy_probs_image", options(ce, weight=weight[:4]), c.randn(2, 4, 3, 2), c.randn(2, 4, 3, 2).softmax(1))

    nll = nn.NLLLoss
    add("nll", nll, c.randn(4, 5), ids)
    add("nll_weight", options(nll, weight=weight), c.randn(4, 5), ids)
    add("nll_ignore", options(nll, weight=weight, ignore_index=1), c.randn(4, 5), torch.tensor([1, 0, 4, 1]))
    add("nll_unbatched", nll, c.randn(5), torch.tensor(3))
    add("nll_image", options(nll, weight=weight[:4]), c.randn(2, 4, 3, 2), image)

    mm = nn.MultiMarginLoss
    add("multi_margin", mm, c.randn(3, 5), torch.tensor([4, 0, 2]))
    add("multi_margin_options", options(mm, p=2, margin=0.6, weight=weight), c.randn(3, 5), torch.tensor([4, 0, 2]))
    add("multi_margin_unbatched", mm, c.randn(5), torch.tensor(1))
    add("multi_margin_one_target", mm, c.randn(5), torch.tensor([1]))
    add("multi_margin_scalar", mm, c.randn(), torch.tensor(0))
    several = torch.tensor([[3, 0, -1, 1], [-1, 0, 1, 2], [2, 2, 0, -1]])
    add("multilabel_margin", nn.MultiLabelMarginLoss, c.randn(3, 4), several)
    add("multilabel_margin_unbatched", nn.MultiLabelMarginLoss, c.randn(4), several[0])
    add("multilabel_margin_scalar", nn.MultiLabelMarginLoss, c.randn(), torch.tensor(0))
    soft = nn.MultiLabelSoftMarginLoss
    add("multilabel_soft_margin", soft, c.randn(3, 4), c.rand(3, 4))
    add("multilabel_soft_margin_weight", options(soft, weight=weight[:4]), c.randn(2, 3, 4) * 9, c.rand(2, 3, 4))
    add("multilabel_soft_margin_unbatched", soft, c.randn(4), c.rand(4))


def pairs(c, add, options):
    losses = {
        "mse": nn.MSELoss,
        "l1": nn.L1Loss,
        "smooth_l1": nn.SmoothL1Loss,
        "smooth_l1_beta": options(nn.SmoothL1Loss, beta=0.4),
        "smooth_l1_no_beta": options(nn.SmoothL1Loss, beta=0.0),
        "huber": nn.HuberLoss,
        "huber_delta": options(nn.HuberLoss, delta=0.3),
    }
    for name, loss in losses.items():
        x, target = c.randn(3, 4), c.randn(3, 4)
        x[1] = target[1]
        add(name, loss, x, target)
        add(f"{name}_broadcast", loss, c.randn(3, 1), c.randn(2, 1, 4))
        add(f"{name}_scalar", loss, c.randn(), c.randn())
    add("mse_target_constant", nn.MSELoss, c.randn(3, 4), c.randn(3, 4), constant=(1,))


def binary(c, add, options):
    row, full = torch.tensor([1.0, 0.5, 2.0, 0.0]), c.rand(3, 4)
    bce = nn.BCELoss
    add("bce", bce, c.rand(3, 4), c.rand(3, 4))
    add("bce_weight_row", options(bce, weight=row), c.rand(3, 4), c.rand(3, 4))
    add("bce_weight", options(bce, weight=full), c.rand(3, 4), c.rand(3, 4))
    add("bce_scalar", bce, c.rand(), c.rand())
    add("bce_certain", bce, torch.tensor([0.0, 1.0, 0.25]), torch.tensor([0.0, 1.0, 1.0]), constant=(1,))
    logits = nn.BCEWithLogitsLoss
    add("bce_with_logits", logits, c.randn(3, 4) * 5, c.rand(3, 4))
    add("bce_with_logits_weight", options(logits, weight=full), c.randn(3, 4), c.rand(3, 4))
    add("bce_with_logits_pos_weight", options(logits, pos_weight=row), c.randn(3, 4), c.rand(3, 4))
    add("bce_with_logits_both", options(logits, weight=row, pos_weight=full), c.randn(3, 4), c.rand(3, 4))
    add("bce_with_logits_scalar", logits, c.randn(), c.rand())
    add("bce_with_logits_far", logits, torch.tensor([800.0, -800.0, 800.0]), torch.tensor([1.0, 0.0, 0.25]))
    signs = torch.tensor([[1, -1, -1, 1], [-1, 1, 1, -1], [1, 1, -1, -1]])
    add("soft_margin", nn.SoftMarginLoss, c.randn(3, 4), signs)
    add("soft_margin_broadcast", nn.SoftMarginLoss, c.randn(3, 4), signs[0])


def distributions(c, add, options):
    four = dict(reductions=("none", "mean", "sum", "batchmean"))
    kl = nn.KLDivLoss
    log_probs = lambda *shape: c.randn(*shape).log_softmax(-1)
    add("kl_div", kl, log_probs(3, 4), c.randn(3, 4).softmax(1), **four)
    add("kl_div_log_target", options(kl, log_target=True), log_probs(3, 4), log_probs(3, 4), **four)
    add("kl_div_broadcast", kl, log_probs(4), c.randn(2, 3, 4).softmax(2), **four)
    add("kl_div_scalar", kl, c.randn(), c.rand(), **four)
    zeros = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    add("kl_div_zeros", kl, log_probs(2, 3), zeros, constant=(1,), **four)

    poisson = nn.PoissonNLLLoss
    counts = torch.tensor([[0.0, 1.0, 2.0, 7.0], [3.0, 1.0, 0.0, 30.0]])
    add("poisson", poisson, c.randn(2, 4), c.rand(2, 4) * 5)
    add("poisson_full", options(poisson, full=True), c.randn(2, 4), counts, constant=(1,))
    add("poisson_full_targets", options(poisson, full=True), c.randn(2, 4), c.rand(2, 4) * 3 + 0.1)
    add("poisson_rates", options(poisson, log_input=False), c.rand(2, 4) + 0.1, counts)
    add("poisson_rates_eps", options(poisson, log_input=False, full=True, eps=0.2), c.rand(2, 4), c.rand(2, 4) * 3 + 0.1)
    add("poisson_broadcast", options(poisson, full=True), c.randn(4), counts, constant=(1,))
    add("poisson_scalar", poisson, c.randn(), c.rand())

    gaussian = nn.GaussianNLLLoss
    var = lambda *shape: c.rand(*shape) + 0.1
    add("gaussian", gaussian, c.randn(2, 3), c.randn(2, 3), var(2, 3))
    add("gaussian_full", options(gaussian, full=True), c.randn(2, 3), c.randn(2, 3), var(2, 3))
    add("gaussian_eps", options(gaussian, eps=0.5), c.randn(2, 3), c.randn(2, 3), c.rand(2, 3))
    add("gaussian_one_variance", gaussian, c.randn(2, 3), c.randn(2, 3), var(2, 1))
    add("gaussian_one_variance_inside", gaussian, c.randn(2, 3, 2), c.randn(2, 3, 2), var(2, 1, 2))
    add("gaussian_short_variance", gaussian, c.randn(2, 3), c.randn(2, 3), var(2))
    add("gaussian_broadcast", gaussian, c.randn(2, 3), c.randn(3), var(2, 3))
    add("gaussian_vector", gaussian, c.randn(3), c.randn(3), var())
    add("gaussian_scalar", gaussian, c.randn(), c.randn(), var())


def margins(c, add, options):
    cosine = nn.CosineEmbeddingLoss
    signs = torch.tensor([1, -1, -1, 1, -1])
    add("cosine", cosine, c.randn(5, 3), c.randn(5, 3), signs)
    add("cosine_margin", options(cosine, margin=0.3), c.randn(5, 3), c.randn(5, 3), -signs)
    add("cosine_negative_margin", options(cosine, margin=-0.5), c.randn(5, 3), c.randn(5, 3), signs)
    add("cosine_unbatched", cosine, c.randn(3), c.randn(3), torch.tensor(1))
    add("cosine_broadcast", cosine, c.randn(5, 3), c.randn(1, 3), signs[:1])
    add("cosine_neither", cosine, c.randn(5, 3), c.randn(5, 3), torch.tensor([0.0, 1.0, -1.0, 2.0, 1.0]), constant=(2,))

    triplet = nn.TripletMarginLoss
    three = lambda *shape: [c.randn(*shape) for _ in range(3)]
    add("triplet", triplet, *three(4, 3))
    add("triplet_p1", options(triplet, p=1.0, margin=0.5), *three(4, 3))
    add("triplet_p3", options(triplet, p=3.0, eps=1e-2), *three(4, 3))
    add("triplet_swap", options(triplet, swap=True, margin=2.0), *three(4, 3))
    add("triplet_unbatched", triplet, *three(3))
    add("triplet_deep", triplet, *three(2, 3, 2))
    add("triplet_broadcast", triplet, c.randn(4, 3), c.randn(1, 3), c.randn(4, 1))
    square = lambda a, b: ((a - b) ** 2).sum(-1)
    named = nn.TripletMarginWithDistanceLoss
    add("triplet_distance", options(named, distance_function=square), *three(4, 3))
    add("triplet_distance_swap", options(named, distance_function=square, swap=True, margin=3.0), *three(4, 3))

    hinge = nn.HingeEmbeddingLoss
    add("hinge", hinge, c.randn(5), signs)
    add("hinge_margin", options(hinge, margin=0.2), c.randn(2, 5), signs)
    add("hinge_broadcast", hinge, c.randn(5), torch.stack([signs, -signs]))
    add("hinge_neither", hinge, c.randn(3), torch.tensor([0, 1, -1]))
    add("hinge_scalar", hinge, c.randn(), torch.tensor(-1))

    ranking = nn.MarginRankingLoss
    add("ranking", ranking, c.randn(5), c.randn(5), signs.double(), constant=(2,))
    add("ranking_margin", options(ranking, margin=1.5), c.randn(2, 3), c.randn(2, 3), c.randn(2, 3))
    add("ranking_broadcast", options(ranking, margin=0.5), c.randn(2, 3), c.randn(1, 3), c.randn(2, 1))
    add("ranking_scalar", options(ranking, margin=5.0), c.randn(), c.randn(), c.randn())


def ctc(c, add, options):
    loss = nn.CTCLoss
    lengths = lambda *lengths: torch.tensor(lengths)
    of_logits = lambda loss, x, *rest: loss(x.log_softmax(-1), *rest)
    padded = torch.tensor([[1, 2, 3], [2, 2, 0], [3, 1, 1]])
    three, labels = lengths(6, 5, 4), lengths(3, 2, 1)
    add("ctc", loss, c.randn(6, 3, 4).log_softmax(2), padded, three, labels)
    add("ctc_logits", loss, c.randn(6, 3, 4), padded, three, labels, call=of_logits)
    add("ctc_concatenated", loss, c.randn(6, 3, 4), torch.tensor([1, 2, 3, 2, 2, 3]), three, labels, call=of_logits)
    add("ctc_blank", options(loss, blank=3), c.randn(6, 3, 4), padded % 3, three, labels, call=of_logits)
    add("ctc_repeated", loss, c.randn(7, 2, 3), torch.tensor([[1, 1, 1, 2], [2, 2, 1, 1]]), lengths(7, 6), lengths(4, 4),
        call=of_logits)
    add("ctc_empty_targets", loss, c.randn(6, 3, 4), padded, three, lengths(0, 2, 0), call=of_logits)
    add("ctc_no_targets", loss, c.randn(4, 2, 3), torch.zeros(0, dtype=torch.int64), lengths(4, 3), lengths(0, 0),
        call=of_logits)
    add("ctc_no_steps", options(loss, zero_infinity=True), c.randn(4, 3, 3), torch.tensor([[1], [2], [1]]),
        lengths(0, 0, 4), lengths(0, 1, 1), call=of_logits)
    add("ctc_zero_infinity", options(loss, zero_infinity=True), c.randn(4, 3, 3),
        torch.tensor([[1, 2, 1], [2, 2, 2], [1, 1, 2]]), lengths(4, 4, 2), lengths(3, 3, 2), call=of_logits)
    add("ctc_unbatched", loss, c.randn(5, 4), torch.tensor([2, 2]), torch.tensor(4), torch.tensor(2), call=of_logits)
    add("ctc_unbatched_lengths", loss, c.randn(5, 4), torch.tensor([2, 1]), lengths(4), lengths(2), call=of_logits)
