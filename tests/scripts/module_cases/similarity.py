"""Lengths, directions and distances of vectors, and attention, which compares them."""
import torch
import torch.nn.functional as F
from torch import nn


def cases(c):
    x, y = (lambda: c.randn(2, 3, 4)), (lambda: c.randn(2, 1, 4))
    c.add("normalize", None, x(), call=F.normalize)
    c.add("normalize_options", None, x(), call=lambda x: F.normalize(x, p=3.0, dim=-1, eps=1e-3))
    c.add("cosine_similarity", None, x(), y(), call=F.cosine_similarity)
    c.add("cosine_similarity_options", None, x(), y(), call=lambda x, y: F.cosine_similarity(x, y, dim=-1, eps=1.0))
    c.add("cosine_similarity_module", nn.CosineSimilarity(), x(), y())
    c.add("cosine_similarity_module_options", nn.CosineSimilarity(dim=-1, eps=1.0), x(), y())
    c.add("pairwise_distance_module", nn.PairwiseDistance(), x(), y())
    c.add("pairwise_distance_module_options", nn.PairwiseDistance(3.0, 1e-3, keepdim=True), x(), y())
    c.add("pairwise_distance", None, x(), y(), call=F.pairwise_distance)
    c.add("pairwise_distance_options", None, x(), y(), call=lambda x, y: F.pairwise_distance(x, y, 1.0, 1e-3, keepdim=True))

    def attention(name, **options):
        inputs = c.randn(2, 3, 5, 4), c.randn(2, 3, 7, 4), c.randn(2, 3, 7, 4)
        masks = [options.pop("attn_mask")] if "attn_mask" in options else []
        call = lambda q, k, v, *mask: F.scaled_dot_product_attention(q, k, v, *mask, **options)
        c.add(name, None, *inputs, *masks, call=call, constant=(3,))

    allowed = c.mask(5, 7, p=0.7)
    allowed[:, 0] = True
    attention("attention")
    attention("attention_causal", is_causal=True)
    attention("attention_scale", scale=0.3)
    attention("attention_bool_mask", attn_mask=allowed)
    attention("attention_float_mask", attn_mask=torch.linspace(-1, 1, 35).view(5, 7))
    q, k, v = c.randn(1, 4, 3, 2), c.randn(1, 2, 5, 2), c.randn(1, 2, 5, 2)
    c.add("attention_gqa", None, q, k, v, call=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))
