"""Attention and the transformer: masks of every kind, added keys, weights, the layers, the stacks, and the whole."""
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore")


def cases(c):
    causal = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
    padding = torch.tensor([[False, False, False, True], [False, False, True, True]])
    added, per_head = c.randn(4, 4), c.mask(4, 4, 4, p=0.3)
    per_head[:, :, 0] = False
    x = lambda: c.randn(2, 4, 6)

    def mha(name, *inputs, call, heads=2, batch_first=True, train=True, **options):
        module = nn.MultiheadAttention(6, heads, batch_first=batch_first, **options)
        # A floating mask is an input without gradient.
        constant = [i for i, x in enumerate(inputs) if x is added]
        c.add(f"mha_{name}", module, *inputs, call=call, train=train, constant=constant)

    def to_itself(**options):
        return lambda m, x, *masks: m(x, x, x, need_weights=False, **{k: v for k, v in zip(options, masks)})[0]

    mha("self", x(), call=to_itself())
    mha("causal", x(), call=lambda m, x: m(x, x, x, need_weights=False, attn_mask=causal, is_causal=True)[0])
    mha("padding", x(), padding, call=to_itself(key_padding_mask=0))
    mha("attn_mask", x(), causal, call=to_itself(attn_mask=0))
    mha("float_mask", x(), added, call=to_itself(attn_mask=0))
    mha("mask_per_head", x(), per_head, call=to_itself(attn_mask=0))
    mha("both_masks", x(), causal, padding, call=to_itself(attn_mask=0, key_padding_mask=0))
    mha("float_and_bool_masks", x(), added, padding, call=to_itself(attn_mask=0, key_padding_mask=0))
    mha("no_bias", x(), call=to_itself(), bias=False)
    mha("cross", x(), c.randn(2, 3, 6), c.randn(2, 3, 6), call=lambda m, q, k, v: m(q, k, v, need_weights=False)[0])
    mha("keys_are_values", x(), c.randn(2, 3, 6), call=lambda m, q, k: m(q, k, k, need_weights=False)[0])
    mha("kdim_vdim", x(), c.randn(2, 3, 5), c.randn(2, 3, 7), kdim=5, vdim=7,
        call=lambda m, q, k, v: m(q, k, v, need_weights=False)[0])
    mha("kdim_vdim_no_bias", x(), c.randn(2, 3, 5), c.randn(2, 3, 7), kdim=5, vdim=7, bias=False, call=lambda m, q, k, v: m(q, k, v))
    mha("kdim_vdim_padding", x(), c.randn(2, 3, 5), c.randn(2, 3, 7), torch.tensor([[False] * 3, [False, True, True]]), kdim=5,
        vdim=7, add_bias_kv=True, call=lambda m, q, k, v, p: m(q, k, v, key_padding_mask=p, average_attn_weights=False))
    mha("time_first", c.randn(4, 2, 6), heads=3, batch_first=False, call=to_itself())
    mha("unbatched", c.randn(4, 6), call=lambda m, x: m(x, x, x))
    mha("unbatched_masks", c.randn(4, 6), added, padding[0], batch_first=False,
        call=lambda m, x, a, p: m(x, x, x, attn_mask=a, key_padding_mask=p.double() * -1.5))
    mha("weights", x(), call=lambda m, x: m(x, x, x, attn_mask=causal))
    mha("weights_per_head", x(), padding, call=lambda m, x, p: m(x, x, x, key_padding_mask=p, average_attn_weights=False))
    mha("dropout_eval", x(), dropout=0.5, train=False, call=lambda m, x: m(x, x, x))
    mha("bias_kv", x(), add_bias_kv=True, call=lambda m, x: m(x, x, x))
    mha("bias_kv_masks", x(), causal, padding, add_bias_kv=True, call=to_itself(attn_mask=0, key_padding_mask=0))
    mha("zero_attn", x(), padding, add_zero_attn=True, call=to_itself(key_padding_mask=0))
    mha("bias_and_zero", c.randn(4, 2, 6), added, batch_first=False, add_bias_kv=True, add_zero_attn=True,
        call=lambda m, x, a: m(x, x, x, attn_mask=a, average_attn_weights=False))

    small = dict(dim_feedforward=7, dropout=0.0)
    layer = lambda **options: nn.TransformerEncoderLayer(6, 2, **{**small, **options})
    c.add("encoder_layer", layer(), c.randn(4, 2, 6))
    c.add("encoder_layer_batch_first", layer(batch_first=True), x())
    c.add("encoder_layer_norm_first", layer(norm_first=True, batch_first=True), x())
    c.add("encoder_layer_gelu", layer(activation="gelu", layer_norm_eps=1e-2), c.randn(4, 2, 6))
    c.add("encoder_layer_function", layer(activation=torch.tanh), c.randn(4, 2, 6))
    c.add("encoder_layer_no_bias", layer(bias=False), c.randn(4, 2, 6))
    c.add("encoder_layer_unbatched", layer(), c.randn(4, 6))
    c.add("encoder_layer_masks", layer(batch_first=True), x(), causal, padding,
          call=lambda m, x, a, p: m(x, src_mask=a, src_key_padding_mask=p))
    c.add("encoder_layer_dropout_eval", layer(dropout=0.3), c.randn(4, 2, 6), train=False)

    layer_of_decoder = lambda **options: nn.TransformerDecoderLayer(6, 2, **{**small, **options})
    memory = lambda: c.randn(2, 3, 6)
    gaps = torch.tensor([[False, False, True], [False, False, False]])
    c.add("decoder_layer", layer_of_decoder(), c.randn(4, 2, 6), c.randn(3, 2, 6))
    c.add("decoder_layer_batch_first", layer_of_decoder(batch_first=True), x(), memory())
    c.add("decoder_layer_norm_first", layer_of_decoder(batch_first=True, norm_first=True, activation="gelu"), x(), memory())
    c.add("decoder_layer_no_bias", layer_of_decoder(bias=False), c.randn(4, 2, 6), c.randn(3, 2, 6))
    c.add("decoder_layer_unbatched", layer_of_decoder(), c.randn(4, 6), c.randn(3, 6))
    across = c.mask(4, 3, p=0.3)
    across[:, 0] = False
    c.add("decoder_layer_masks", layer_of_decoder(batch_first=True), x(), memory(), causal, padding, across, gaps,
          call=lambda m, x, y, a, p, b, g: m(
              x, y, tgt_mask=a, tgt_key_padding_mask=p, memory_mask=b, memory_key_padding_mask=g))

    encoder = lambda norm, **options: nn.TransformerEncoder(layer(**options), 2, norm=norm, enable_nested_tensor=False)
    c.add("encoder", encoder(None), c.randn(4, 2, 6))
    c.add("encoder_norm", encoder(nn.LayerNorm(6), batch_first=True), x(), padding,
          call=lambda m, x, p: m(x, src_key_padding_mask=p))
    decoder = lambda norm, **options: nn.TransformerDecoder(layer_of_decoder(**options), 2, norm=norm)
    c.add("decoder", decoder(None), c.randn(4, 2, 6), c.randn(3, 2, 6))
    c.add("decoder_norm", decoder(nn.LayerNorm(6), batch_first=True), x(), memory(), causal,
          call=lambda m, x, y, a: m(x, y, tgt_mask=a, tgt_is_causal=True))

    whole = lambda **options: nn.Transformer(
        6, 2, **{**small, **dict(num_encoder_layers=1, num_decoder_layers=2), **options})
    c.add("transformer", whole(), c.randn(3, 2, 6), c.randn(4, 2, 6))
    c.add("transformer_causal", whole(batch_first=True, norm_first=True, activation="gelu"), memory(), x(),
          nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64),
          constant=(2,), call=lambda m, x, y, a: m(x, y, tgt_mask=a))
    c.add("transformer_masks", whole(batch_first=True, bias=False), memory(), x(), gaps, causal, padding, across,
          call=lambda m, x, y, g, a, p, b: m(
              x, y, tgt_mask=a, memory_mask=b, src_key_padding_mask=g, tgt_key_padding_mask=p, memory_key_padding_mask=g))
    c.add("transformer_unbatched", whole(), c.randn(3, 6), c.randn(4, 6))

    # Dropout everywhere, in evaluation; masks of two kinds at once.
    c.add("decoder_layer_dropout_eval", layer_of_decoder(dropout=0.3), c.randn(4, 2, 6), c.randn(3, 2, 6), train=False)
    c.add("transformer_dropout_eval", whole(dropout=0.3), c.randn(3, 2, 6), c.randn(4, 2, 6), train=False)
    mha("float_mask_bool_padding", x(), added, padding, call=lambda m, x, a, p: m(
        x, x, x, attn_mask=a, key_padding_mask=p))
