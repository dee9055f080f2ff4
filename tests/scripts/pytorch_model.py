#!/usr/bin/env python3
"""A model as older versions of `transformers` saved it: the fixture of models/tests/convert.rs.

    python3 tests/scripts/pytorch_model.py        # writes models/tests/pytorch_model.bin

The weights of models/tests/hf_gpt2/model.safetensors, the head beside the token embedding that it shares its memory with,
written by `torch.save` as a state dict. Written with torch 2.15, safetensors 0.8.
Needs: pip install torch safetensors
"""
from pathlib import Path

import torch
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parents[2] / "models/tests"

weights = load_file(HERE / "hf_gpt2/model.safetensors")
weights["lm_head.weight"] = weights["transformer.wte.weight"]
torch.save(weights, HERE / "pytorch_model.bin")
