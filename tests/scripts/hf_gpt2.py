#!/usr/bin/env python3
"""GPT-2 exchanged with Hugging Face's transformers, both ways.

    python tests/scripts/hf_gpt2.py make  DIR                 # writes the fixture models/tests/hf_gpt2
    python tests/scripts/hf_gpt2.py check DIR LOGITS          # opens a directory that was written here

`make` writes a tiny model with random weights as transformers saves it, a character tokenizer as tokenizers saves it,
and expected.safetensors: ids, logits, loss, and the gradient of every parameter.
`check` loads a model directory written by `gpt train`, compares its logits with those that the example `logits` wrote,
and its tokenizer's ids and text.

Made with torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3 (pip install torch transformers).
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel


def make(folder):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=11, n_positions=6, n_embd=8, n_layer=2, n_head=2, resid_pdrop=0, embd_pdrop=0,
                        attn_pdrop=0, bos_token_id=None, eos_token_id=None)
    model = GPT2LMHeadModel(config)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)  # biases and layer norms too: nothing may hide behind a zero or a one
    model.save_pretrained(folder)
    ids = torch.randint(0, 11, (3, 6))
    logits = model(ids).logits
    # The loss of `Gpt::loss` with the targets as they stand, not shifted.
    targets = torch.randint(0, 11, (3, 6))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    gradients = {f"grad.{name}": p.grad for name, p in model.named_parameters()}
    save_file({"ids": ids, "targets": targets, "logits": logits.detach(), "loss": loss.detach(), **gradients},
              Path(folder) / "expected.safetensors")
    (Path(folder) / "generation_config.json").unlink(missing_ok=True)
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate("\n '\"\\abc\u00e9\u4e16\U0001f600")}, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(Path(folder) / "tokenizer.json"))


def check(folder, logits_file):
    model, problems = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    problems = {what: list(names) for what, names in problems.items() if names}
    assert not problems, problems
    ours = load_file(logits_file)
    with torch.no_grad():
        theirs = model.eval()(ours["ids"]).logits
    difference = (theirs - ours["logits"]).abs().max().item()
    scale = theirs.abs().max().item()
    assert difference <= 1e-4 * scale, (difference, scale)
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    ids = ours["ids"][0].tolist()
    text = tokenizer.decode(ids)
    assert tokenizer.encode(text).ids == ids, (text, ids)
    alphabet = "".join(sorted(tokenizer.get_vocab()))
    assert tokenizer.encode(alphabet).ids == list(range(len(alphabet)))
    assert tokenizer.decode(list(range(len(alphabet)))) == alphabet
    auto = AutoTokenizer.from_pretrained(folder)
    assert auto(text)["input_ids"] == ids and auto.decode(ids) == text, type(auto)
    print(f"ok: {sum(p.numel() for p in model.parameters())} parameters, logits differ by {difference:.1e} of {scale:.2f}, "
          f"text {text!r}")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
