#!/usr/bin/env python3
"""What Python's `transformers` generates: the fixture of models/tests/generation.rs.

    python3 tests/scripts/hf_generation.py        # writes models/tests/hf_generation/

A tiny GPT-2 with random weights, large enough that its choices differ; `expected.json` holds
  * `processed`: rows of logits, tokens that occurred, options, and the probabilities that are left by Hugging Face's
    own logits processors, in the order in which `generate` applies them;
  * `greedy`: texts by `generate(do_sample=False)`, with and without a penalty, alone and as a batch padded on the left;
  * `beams`: texts and scores by `generate(num_beams=..)`.
Needs: pip install torch transformers
"""
import json
from pathlib import Path

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.generation import (
    LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
    TopPLogitsWarper)

OUT = Path(__file__).resolve().parents[2] / "models/tests/hf_generation"
VOCAB, CONTEXT = 19, 24


def processed():
    torch.manual_seed(2)
    cases = []
    options = [{}, {"temperature": 0.7}, {"top_k": 4}, {"top_p": 0.8}, {"top_p": 0.3}, {"min_p": 0.1},
               {"repetition_penalty": 1.4}, {"temperature": 1.7, "top_k": 9, "top_p": 0.9, "min_p": 0.05},
               {"temperature": 0.6, "top_p": 0.95, "repetition_penalty": 0.8},
               {"temperature": 1.2, "top_k": 12, "min_p": 0.2, "repetition_penalty": 1.9}]
    for option in options:
        logits = (torch.randn(1, VOCAB, dtype=torch.float64) * 2).round(decimals=3)
        seen = torch.randint(0, VOCAB, (1, 6))
        steps = LogitsProcessorList()
        if "repetition_penalty" in option:
            steps.append(RepetitionPenaltyLogitsProcessor(option["repetition_penalty"]))
        if "temperature" in option:
            steps.append(TemperatureLogitsWarper(option["temperature"]))
        if "top_k" in option:
            steps.append(TopKLogitsWarper(option["top_k"]))
        if "top_p" in option:
            steps.append(TopPLogitsWarper(option["top_p"]))
        if "min_p" in option:
            steps.append(MinPLogitsWarper(option["min_p"]))
        left = steps(seen, logits.clone())
        cases.append({"logits": logits[0].tolist(), "seen": seen[0].tolist(), "options": option,
                      "probabilities": left.softmax(-1)[0].tolist()})
    return cases


def main():
    torch.manual_seed(5)
    config = GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2, bos_token_id=None,
                        eos_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.1 if p.ndim == 1 else 0.8) + (1.0 if "ln_" in name and "weight" in name else 0.0))
    model.save_pretrained(OUT)

    def run(prompts, new, **options):
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        return model.generate(ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=0,
                              return_dict_in_generate=True, output_scores=True, **options), width

    greedy = []
    for prompts, penalty in [([[1, 2, 3]], 1.0), ([[4]], 1.3), ([[1, 2, 3, 4, 5], [6], [7, 8]], 1.0)]:
        out, width = run(prompts, 12, repetition_penalty=penalty)
        greedy.append({"prompts": prompts, "repetition_penalty": penalty, "ids": out.sequences[:, width:].tolist()})

    beams = []
    for prompt, options in [
        ([1, 2], {"num_beams": 3}), ([5, 6, 7], {"num_beams": 4, "eos_token_id": [3, 11]}),
        ([9], {"num_beams": 4, "eos_token_id": [2], "length_penalty": 2.0}),
        ([9], {"num_beams": 4, "eos_token_id": [2, 8, 5], "length_penalty": -1.0}),
        ([10, 4], {"num_beams": 5, "eos_token_id": [7, 1, 12, 6], "early_stopping": True}),
        ([3, 3], {"num_beams": 2, "repetition_penalty": 1.5}),
    ]:
        out, width = run([prompt], 10, num_return_sequences=options["num_beams"], **options)
        found = []
        for ids, score in zip(out.sequences[:, width:].tolist(), out.sequences_scores.tolist()):
            ends = [i for i, token in enumerate(ids) if token in options.get("eos_token_id", [])]
            found.append({"ids": ids[:ends[0]] if ends else ids, "score": score})
        beams.append({"prompt": prompt, "options": options, "found": found})

    expected = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__},
                "processed": processed(), "greedy": greedy, "beams": beams}
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")
    (OUT / "generation_config.json").unlink(missing_ok=True)


main()
