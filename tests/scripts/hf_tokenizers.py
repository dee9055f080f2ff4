#!/usr/bin/env python3
"""What Python's `tokenizers` makes of texts: the fixture of models/tests/tokenizers.rs.

    python3 tests/scripts/hf_tokenizers.py make        # writes models/tests/hf_tokenizers/
    cargo run --release -p models --example tokenizers -- OUT
    python3 tests/scripts/hf_tokenizers.py check OUT   # the tokenizers made here, read by Python

`make` trains a small tokenizer of each kind on a text that it makes up: byte-level BPE as GPT-2's, a Split pattern and
`ignore_merges` as Llama 3's, byte fallback as Llama 2's, Unigram, WordPiece. Each is kept as KIND.json;
`expected.json` holds, for each, texts with their ids without and with special tokens and the decoded text, and what the
trainer learns from a text. Needs: pip install tokenizers (and transformers for `check`)
"""
import json
import random
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = Path(__file__).resolve().parents[2] / "models/tests/hf_tokenizers"
VOCAB = 420
END = "<|endoftext|>"
# Llama 3's pattern.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")


def corpus():
    """Words of made-up syllables, numbers and signs; some are common."""
    rng = random.Random(0)
    syllables = [a + b for a in ("b", "d", "gr", "k", "l", "m", "st", "t", "v") for b in "aeiou"] + ["\u00e9", "\u4e16"]
    words = ["".join(rng.choice(syllables) for _ in range(rng.randint(1, 3))) for _ in range(150)]
    words += ["it's", "we'll", "12", "2024", "x=1;", "na\u00efve", "\u4e16\u754c", "Gradus", "the", "The"]
    lines = []
    for _ in range(250):
        line = " ".join(rng.choice(words[: rng.choice([20, 160])]) for _ in range(rng.randint(2, 9)))
        lines.append(" " * rng.choice([0, 0, 0, 4]) + line + rng.choice([".", "!\n", "?", ""]))
    return "\n".join(lines) + "\n"


TEXTS = [
    "", " ", "a", "the The", " leading and trailing ", "two  spaces   three\n\n\tand tabs \r\n", "it's we'll THEY'RE 'tis",
    "12 345 6789 3.14", "x=1; y+=2 // !!??", "caf\u00e9 cafe\u0301 na\u00efve \u00dcber stra\u00dfe \ufb01ne",
    "\u4e16\u754c \u3053\u3093\u306b\u3061\u306f \uc548\ub155 \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "\u00a0\u2003\u3000wide\u200bspaces\ufeff", "\x00\x01\x7f\u0080\ufffd", "\u2581under_score \u0120\u010a <0x41> ##ing [CLS] </s>",
    f"one{END}two{END}\n{END} three", "<s>begin</s> <|begin_of_text|>end<|end_of_text|>", "Gradus ad Parnassum",
    "".join(chr(c) for c in range(256)), "ka" * 60,
]


def bpe(text, **options):
    trainer = dict(vocab_size=VOCAB, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(**options.pop("model", {})))
    tokenizer.pre_tokenizer = options.pop("pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(**trainer | options))
    return tokenizer


def template(tokenizer, single, names):
    return processors.TemplateProcessing(
        single=single, special_tokens=[(name, tokenizer.token_to_id(name)) for name in names])


def byte_level(text):
    return bpe(text, special_tokens=[END], min_frequency=2)


def llama3(text):
    steps = [pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
             pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer = bpe(text, model={"ignore_merges": True}, pre_tokenizer=pre_tokenizers.Sequence(steps))
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    begin = template(tokenizer, "<|begin_of_text|> $A", ["<|begin_of_text|>"])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])
    # What a file may say and texts for training must not suffer.
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    return tokenizer


def llama2(text):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\u2581+[^\u2581]*"), behavior="isolated")
    special = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator(text.splitlines(), trainers.BpeTrainer(
        vocab_size=VOCAB - 256, show_progress=False, special_tokens=special))
    # The bytes follow the special tokens; Llama 2 has no pre-tokenizer.
    state = json.loads(tokenizer.to_str())
    names = list(state["model"]["vocab"])
    names[3:3] = [f"<0x{byte:02X}>" for byte in range(256)]
    state["model"]["vocab"] = {name: i for i, name in enumerate(names)}
    state["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = template(tokenizer, "<s> $A", ["<s>"])
    return tokenizer


def unigram(text):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(text.splitlines(), trainers.UnigramTrainer(
        vocab_size=200, show_progress=False, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"))
    tokenizer.post_processor = template(tokenizer, "$A </s>", ["</s>"])
    return tokenizer


def wordpiece(text):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(text.splitlines(), trainers.WordPieceTrainer(
        vocab_size=200, show_progress=False, special_tokens=special))
    tokenizer.post_processor = template(tokenizer, "[CLS] $A [SEP]", ["[CLS]", "[SEP]"])
    return tokenizer


def make():
    text = corpus()
    OUT.mkdir(exist_ok=True)
    expected = {"versions": {"tokenizers": tokenizers.__version__}, "kinds": {}}
    for build in (byte_level, llama3, llama2, unigram, wordpiece):
        tokenizer = build(text)
        state = json.loads(tokenizer.to_str())
        (OUT / f"{build.__name__}.json").write_text(json.dumps(state, ensure_ascii=False, separators=(",", ":")) + "\n")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        cases = []
        for given in TEXTS:
            ids = tokenizer.encode(given, add_special_tokens=False).ids
            cases.append({"text": given, "ids": ids, "special": tokenizer.encode(given).ids,
                          "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
        expected["kinds"][build.__name__] = {"cases": cases, "vocab_size": max(tokenizer.get_vocab().values()) + 1}
    # What `Tokenizer::train_bpe` learns; the text is short enough to keep.
    short = "\n".join(text.splitlines()[:40])
    learnt = json.loads(bpe(short, special_tokens=[END], min_frequency=2, vocab_size=330).to_str())["model"]
    expected["training"] = {"text": short, "vocab": learnt["vocab"], "merges": learnt["merges"], "vocab_size": 330}
    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def check(out):
    """Compares the ids that were written beside each tokenizer with those of Python's two libraries."""
    from transformers import AutoTokenizer
    for path in sorted(Path(out).glob("*/ids.json")):
        plain = Tokenizer.from_file(str(path.parent / "tokenizer.json"))
        auto = AutoTokenizer.from_pretrained(path.parent)
        cases = json.loads(path.read_text())
        assert cases["cases"], path
        for case in cases["cases"]:
            text, ids = case["text"], case["ids"]
            assert plain.encode(text, add_special_tokens=False).ids == ids, (path, text)
            assert auto.encode(text, add_special_tokens=False) == ids, (path, text)
            assert auto.encode(text) == case["special"], (path, text)
            assert plain.decode(ids, skip_special_tokens=False) == case["decoded"], (path, text)
            assert auto.decode(ids) == case["decoded"], (path, text)
        assert auto.eos_token_id == cases["end_of_text"], (path, auto.eos_token_id)
        assert auto.bos_token_id == cases["beginning_of_text"], (path, auto.bos_token_id)
        print(f"{path.parent.name}: {len(cases['cases'])} texts agree")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make"]:
            make()
        case ["check", out]:
            check(out)
        case _:
            sys.exit(__doc__)
