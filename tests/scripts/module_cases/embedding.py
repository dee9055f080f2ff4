"""Tables of vectors, and bags of them. What `max_norm` leaves of the table is a second output."""
import torch
import torch.nn.functional as F
from torch import nn


def cases(c):
    ids = torch.tensor([[1, 4, 4], [0, 2, 1]])
    table = lambda m, ids: (m(ids), m.weight.detach().clone())
    c.add("embedding", nn.Embedding(5, 3), ids)
    c.add("embedding_one_index", nn.Embedding(5, 3), torch.tensor(2))
    c.add("embedding_no_indices", nn.Embedding(5, 3), torch.zeros(2, 0, dtype=torch.long))
    c.add("embedding_padding", nn.Embedding(5, 3, padding_idx=1), ids)
    c.add("embedding_padding_from_the_end", nn.Embedding(5, 3, padding_idx=-1), ids)
    c.add("embedding_max_norm", nn.Embedding(5, 3, max_norm=0.75), ids, call=table)
    c.add("embedding_max_norm_1", nn.Embedding(5, 3, max_norm=1.0, norm_type=1.0), ids, call=table)
    c.add("embedding_max_norm_inf", nn.Embedding(5, 3, max_norm=0.5, norm_type=float("inf")), ids, call=table)
    c.add("embedding_frequency", nn.Embedding(5, 3, scale_grad_by_freq=True), ids)
    everything = nn.Embedding(5, 3, padding_idx=4, max_norm=1.0, norm_type=3.0, scale_grad_by_freq=True)
    c.add("embedding_everything", everything, ids, call=table)
    c.add("embedding_frozen", nn.Embedding.from_pretrained(c.randn(5, 3)), ids)
    c.add("embedding_pretrained", nn.Embedding.from_pretrained(c.randn(5, 3), freeze=False, padding_idx=2), ids)

    flat, offsets = torch.tensor([1, 4, 4, 0, 2, 1, 3]), torch.tensor([0, 2, 2, 6])
    for mode in ["sum", "mean", "max"]:
        bag = lambda **options: nn.EmbeddingBag(5, 3, mode=mode, **options)
        c.add(f"bag_{mode}", bag(), flat, offsets)
        c.add(f"bag_{mode}_rows", bag(), ids)
        c.add(f"bag_{mode}_last_offset", bag(include_last_offset=True), flat, torch.tensor([0, 3, 3, 7]))
        c.add(f"bag_{mode}_padding", bag(padding_idx=4), flat, offsets)
        c.add(f"bag_{mode}_padding_alone", bag(padding_idx=-1), torch.tensor([[4, 4], [1, 4]]))
        c.add(f"bag_{mode}_max_norm", bag(max_norm=0.75), flat, offsets,
              call=lambda m, ids, at: (m(ids, at), m.weight.detach().clone()))
        c.add(f"bag_{mode}_no_indices", bag(), torch.zeros(0, dtype=torch.long), torch.tensor([0, 0]))
    c.add("bag_mean_frequency", nn.EmbeddingBag(5, 3, scale_grad_by_freq=True, norm_type=1.0), flat, offsets)
    c.add("bag_sum_frequency", nn.EmbeddingBag(5, 3, mode="sum", scale_grad_by_freq=True), flat, offsets)
    weighted = lambda m, ids, at, w: m(ids, at, per_sample_weights=w)
    c.add("bag_weighted", nn.EmbeddingBag(5, 3, mode="sum"), flat, offsets, c.randn(7), call=weighted)
    c.add("bag_weighted_padding", nn.EmbeddingBag(5, 3, mode="sum", padding_idx=4), flat, offsets, c.randn(7), call=weighted)
    c.add("bag_weighted_rows", nn.EmbeddingBag(5, 3, mode="sum"), ids, c.randn(2, 3),
          call=lambda m, ids, w: m(ids, per_sample_weights=w))
    everything = nn.EmbeddingBag(5, 3, max_norm=1.0, norm_type=3.0, scale_grad_by_freq=True, padding_idx=0)
    c.add("bag_everything", everything, flat, offsets, call=lambda m, ids, at: (m(ids, at), m.weight.detach().clone()))
    # The first of equal elements gets the gradient.
    c.add("bag_max_ties", None, torch.tensor([[2, 0, 1]]), torch.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 3.0]]),
          call=lambda ids, w: F.embedding_bag(ids, w, mode="max"))
