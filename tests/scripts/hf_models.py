#!/usr/bin/env python3
"""Language models exchanged with Hugging Face's transformers, both ways.

    python tests/scripts/hf_models.py make               # writes the fixtures models/tests/hf
    python tests/scripts/hf_models.py check DIR OURS     # opens a directory that was written here
    python tests/scripts/hf_models.py check-all FOLDER   # every FOLDER/NAME/ with its FOLDER/NAME.safetensors

`make` writes tiny models with random weights as transformers saves them, one directory each, with expected.safetensors beside
the weights: ids, targets, logits, loss, the gradient of every parameter (`grad.NAME`), and what `generate(do_sample=False)` writes
after `prompt`. Of models stored in halves these are computed by the same weights widened to f32, which is what is done here.
`rotations.safetensors` has the `inv_freq` of each kind of rotary scaling, and `published.txt` the number of parameters of published
models, counted on the meta device.

`check` loads a directory with AutoModelForCausalLM, without warnings, and compares its logits and greedy tokens with those in
OURS (`ids`, `logits`, and if there `prompt` and `greedy`), which the example `logits` or the test `hf_models` wrote (with
GRADUS_HF_OUT=FOLDER it writes all that check-all reads). If there is a tokenizer.json, it is tried on the ids.

Made with torch 2.15.0, transformers 5.24.0, tokenizers 0.23.3, safetensors 0.8.0 (pip install torch transformers).
"""
import json
import logging
import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

FIXTURES = Path(__file__).resolve().parents[2] / "models" / "tests" / "hf"

GPT2 = dict(vocab_size=23, n_positions=12, n_embd=8, n_layer=2, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=None, eos_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=0.1, high_freq_factor=1.2,
              original_max_position_embeddings=8)  # of three pairs, one is kept, one mixed and one slowed down
LLAMA = dict(vocab_size=23, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=6, max_position_embeddings=16, rms_norm_eps=1e-5, rope_parameters=LLAMA3, bos_token_id=None,
             eos_token_id=None)


def gpt2(**options):
    return GPT2LMHeadModel(GPT2Config(**GPT2 | options))


def llama(**options):
    return LlamaForCausalLM(LlamaConfig(**LLAMA | options))


# Name: the model, the dtype that it is stored in, and the size of a shard.
MODELS = {
    "gpt2": (gpt2, torch.float32, None),
    "gpt2_bf16": (gpt2, torch.bfloat16, None),
    "gpt2_f16": (gpt2, torch.float16, None),
    "gpt2_sharded": (gpt2, torch.float32, "3KB"),
    "llama": (lambda: llama(hidden_size=16, intermediate_size=20), torch.float32, None),
    "llama_tied": (lambda: llama(tie_word_embeddings=True, head_dim=None, rope_parameters=dict(
        rope_type="linear", rope_theta=10000.0, factor=2.0)), torch.float32, None),
    "llama_bias": (lambda: llama(attention_bias=True, mlp_bias=True, num_key_value_heads=4, rope_parameters=dict(
        rope_type="dynamic", rope_theta=10000.0, factor=2.0)), torch.float32, None),
    "llama_bf16": (lambda: llama(num_key_value_heads=1), torch.bfloat16, None),
    "llama_f16": (llama, torch.float16, None),
    "llama_f64": (lambda: llama(rope_parameters=dict(rope_type="default", rope_theta=10000.0)), torch.float64, None),
    "llama_sharded": (llama, torch.bfloat16, "3KB"),
}


def make():
    logging.getLogger("transformers").setLevel(logging.ERROR)
    shutil.rmtree(FIXTURES, ignore_errors=True)
    for name, (build, dtype, shard) in MODELS.items():
        folder = FIXTURES / name
        model = lively(build)
        model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
        (folder / "generation_config.json").unlink(missing_ok=True)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=wide, attn_implementation="eager").eval()
        vocab = model.config.vocab_size
        ids, targets = torch.randint(0, vocab, (2, 10)), torch.randint(0, vocab, (2, 10))
        logits = model(ids).logits
        # The loss of `LanguageModel::loss`, with the targets as they stand, not shifted.
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        prompt = torch.arange(4)[None]
        greedy = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=8, pad_token_id=0)
        expected = {"ids": ids, "targets": targets, "logits": logits.detach(), "loss": loss.detach(), "prompt": prompt,
                    "greedy": greedy[:, 4:].contiguous()}
        expected |= {f"grad.{name}": p.grad for name, p in model.named_parameters()}
        save_file(expected, folder / "expected.safetensors")
        files = sorted(p.name for p in folder.iterdir())
        print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, loss {loss.item():.3f}, "
              f"greedy {greedy[0, 4:].tolist()}, {len(files)} files")
    vocab = {c: i for i, c in enumerate("\n '\"\\abc\u00e9\u4e16\U0001f600defghijklmno"[:23])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(FIXTURES / "gpt2" / "tokenizer.json"))
    save_file(rotations(), FIXTURES / "rotations.safetensors")
    (FIXTURES / "published.txt").write_text(published())
    print(f"{sum(p.stat().st_size for p in FIXTURES.rglob('*') if p.is_file())} bytes, torch {torch.__version__}, "
          f"transformers {transformers.__version__}")


@torch.no_grad()
def lively(build):
    """The first model whose greedy text has some variety, in which no choice is a close one."""
    for seed in range(1000):
        torch.manual_seed(seed)
        model = build().eval()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.6)  # biases and norms too: nothing may hide behind a zero or a one
        ids = torch.arange(4)[None]
        for _ in range(8):
            best, second = model(ids).logits[0, -1].topk(2).values.tolist()
            if best - second < 0.05:
                break
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
        if ids.shape[1] == 12 and len(set(ids[0, 4:].tolist())) >= 4:
            return model


ROTATIONS = {
    "default": dict(rope_type="default", rope_theta=10000.0),
    "linear": dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
    "dynamic": dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0),
    "llama3": dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=8192),
}


def rotations():
    """`inv_freq` in f32 of heads of 64 in a context of 2048, at its length and, as `NAME.long`, at 6000."""
    tensors = {}
    for name, rope in ROTATIONS.items():
        config = LlamaConfig(hidden_size=256, num_attention_heads=4, max_position_embeddings=2048, rope_parameters=dict(rope))
        init = ROPE_INIT_FUNCTIONS.get(name, LlamaRotaryEmbedding.compute_default_rope_parameters)
        for suffix, length in [("", None), (".long", 6000)]:
            inv_freq, scaling = init(config, device="cpu", seq_len=length)
            assert scaling == 1.0
            tensors[name + suffix] = inv_freq.clone()
    return tensors


def published():
    """A line per model: its name as here and its number of parameters."""
    def of_gpt2(layers, width, heads, context=1024, vocab=50257):
        return GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_positions=context, n_embd=width, n_layer=layers, n_head=heads))

    def of_llama(layers, width, heads, mlp, vocab=32000, **options):
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=vocab, hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=heads,
            **options))

    llama3 = dict(vocab=128256, num_key_value_heads=8)
    table = {
        "gpt": lambda: of_gpt2(12, 768, 12, 512, 40478),
        "gpt2": lambda: of_gpt2(12, 768, 12),
        "gpt2-medium": lambda: of_gpt2(24, 1024, 16),
        "gpt2-large": lambda: of_gpt2(36, 1280, 20),
        "gpt2-xl": lambda: of_gpt2(48, 1600, 25),
        "gpt3-small": lambda: of_gpt2(12, 768, 12, 2048),
        "gpt3-medium": lambda: of_gpt2(24, 1024, 16, 2048),
        "gpt3-large": lambda: of_gpt2(24, 1536, 16, 2048),
        "gpt3-xl": lambda: of_gpt2(24, 2048, 16, 2048),
        "gpt3-2.7b": lambda: of_gpt2(32, 2560, 32, 2048),
        "gpt3-6.7b": lambda: of_gpt2(32, 4096, 32, 2048),
        "gpt3-13b": lambda: of_gpt2(40, 5120, 40, 2048),
        "gpt3-175b": lambda: of_gpt2(96, 12288, 96, 2048),
        "llama-7b": lambda: of_llama(32, 4096, 32, 11008),
        "llama-13b": lambda: of_llama(40, 5120, 40, 13824),
        "llama-33b": lambda: of_llama(60, 6656, 52, 17920),
        "llama-65b": lambda: of_llama(80, 8192, 64, 22016),
        "llama2-7b": lambda: of_llama(32, 4096, 32, 11008),
        "llama2-13b": lambda: of_llama(40, 5120, 40, 13824),
        "llama2-70b": lambda: of_llama(80, 8192, 64, 28672, num_key_value_heads=8),
        "llama3-8b": lambda: of_llama(32, 4096, 32, 14336, **llama3),
        "llama3-70b": lambda: of_llama(80, 8192, 64, 28672, **llama3),
        "llama3.1-8b": lambda: of_llama(32, 4096, 32, 14336, **llama3),
        "llama3.1-70b": lambda: of_llama(80, 8192, 64, 28672, **llama3),
        "llama3.1-405b": lambda: of_llama(126, 16384, 128, 53248, **llama3),
        "llama3.2-1b": lambda: of_llama(16, 2048, 32, 8192, head_dim=64, tie_word_embeddings=True, **llama3),
        "llama3.2-3b": lambda: of_llama(28, 3072, 24, 8192, head_dim=128, tie_word_embeddings=True, **llama3),
    }
    lines = []
    for name, build in table.items():
        with torch.device("meta"):
            lines.append(f"{name} {sum(p.numel() for p in build().parameters())}\n")
    return "".join(lines)


class Complaints(logging.Handler):
    """Warnings of transformers, which a directory written here must not give."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def check(folder, ours_file):
    complaints = Complaints()
    logging.getLogger("transformers").addHandler(complaints)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, problems = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    logging.getLogger("transformers").removeHandler(complaints)
    problems = {what: list(names) for what, names in problems.items() if names}
    assert not problems, problems
    assert not complaints.lines, complaints.lines
    assert not caught, [str(w.message) for w in caught]
    stored = {p.dtype for p in model.parameters()}
    ours = load_file(ours_file)
    if any(dtype in (torch.bfloat16, torch.float16) for dtype in stored):
        model = model.float()  # halves are storage here
    model.eval()
    with torch.no_grad():
        theirs = model(ours["ids"]).logits
    difference = (theirs - ours["logits"]).abs().max().item()
    scale = theirs.abs().max().item()
    assert difference <= 1e-4 * scale, (difference, scale)
    said = f"ok {Path(folder).name}: {sum(p.numel() for p in model.parameters())} parameters in {stored}, logits differ by " \
           f"{difference / scale:.1e} of their scale"
    if "greedy" in ours:
        prompt, count = ours["prompt"], ours["greedy"].shape[1]
        written = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=count,
                                 pad_token_id=0, eos_token_id=None)
        written = written[:, prompt.shape[1]:].tolist()
        assert written == ours["greedy"].tolist(), (written, ours["greedy"].tolist())
        said += f", the same {count} greedy tokens"
    if (Path(folder) / "tokenizer.json").exists():
        tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        ids = ours["ids"][0].tolist()
        text = tokenizer.decode(ids, skip_special_tokens=False)
        auto = AutoTokenizer.from_pretrained(folder)
        assert tokenizer.encode(text).ids == ids, (text, ids)
        assert auto(text)["input_ids"] == ids and auto.decode(ids) == text, type(auto)
        said += f", text {text!r}"
    print(said)


def check_all(folder):
    found = sorted(p for p in Path(folder).iterdir() if p.is_dir())
    assert found, f"no model in {folder}"
    for model in found:
        check(str(model), f"{model}.safetensors")


if __name__ == "__main__":
    {"make": make, "check": check, "check-all": check_all}[sys.argv[1]](*sys.argv[2:])
