#!/usr/bin/env python3
"""How fast `gpt bench` is beside PyTorch: both run in turn, and the table of ratios of their medians is printed.

    cargo build --release
    python tests/scripts/compare_speed.py --yardstick pytorch_gpt.py [--threads 2] [--alternations 5]
        [--seconds 15] [--only "train baby"] [--no-compile] [--out raw.jsonl]

The yardstick is a program with `gpt bench`'s commands `train PRESET` and `decode PRESET`, which prints the same JSON. In
each alternation every program runs once; the order turns round from one to the next. A ratio above 1 is good for speeds,
one below 1 for memory. PyTorch computes in f32 also where the weights here are stored in few bits. The first step counts
from the start of the program. `--only` may be repeated; it names works or parts of their names. `--out` gets every JSON
object as it comes, one per line. What runs is told on stderr.

Needs: pip install torch, for the yardstick.
"""
import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

# What is measured: arguments of both, those of `gpt` alone, and whether PyTorch's compiler takes part.
WORKS = {
    "train nano-cpu": (["train", "nano-cpu"], [], True),
    "train baby": (["train", "baby"], [], True),
    "train gpt2": (["train", "gpt2"], [], True),
    "decode gpt2": (["decode", "gpt2", "--prompt", "32", "--new", "128"], ["--dtype", "f32"], False),
    "decode gpt2 int8": (["decode", "gpt2", "--prompt", "32", "--new", "128"], ["--dtype", "int8"], False),
}
# With two threads: the least ratio of speeds, the one aimed at, the largest ratio of memory.
TARGETS = {
    "train nano-cpu": (1.5, 2.0, 0.15),
    "train baby": (1.15, 1.35, 0.7),
    "train gpt2": (1.25, 1.5, 0.8),
    "decode gpt2": (1.3, 1.6, 0.8),
    "decode gpt2 int8": (2.5, 4.0, 0.4),
}
PREFILL = (1.1, 1.4)
ONE_THREAD = 1.1
FIRST_STEP_MS = 300


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, given=None):
    """The JSON object that a program prints in its last line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, input=given)
    except FileNotFoundError:
        sys.exit(f"there is no {command[0]}; build it with `cargo build --release`, or name it with --gpt")
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def common(parser):
    """The options that all comparisons have."""
    parser.add_argument("--gpt", default="target/release/gpt", help="the program (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--alternations", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a file for the raw JSON lines")
    return parser


def alternate(programs, alternations, keep):
    """Runs `programs` (name to a function that gives a report) in turn; the reports of each."""
    reports = {name: [] for name in programs}
    for i in range(alternations):
        for name in list(programs)[:: 1 if i % 2 == 0 else -1]:
            report = programs[name]()
            keep(name, i, report)
            reports[name].append(report)
    return reports


def keeper(out, work):
    """Writes each report into the file `out`, if there is one, and tells of it."""

    def keep(program, alternation, report):
        if out:
            with out.open("a") as lines:
                line = {"work": work, "program": program, "alternation": alternation, "report": report}
                lines.write(json.dumps(line) + "\n")
        figures = [f"{k} {v:.1f}" for k, v in report.items() if k in ("tokens_per_s", "prefill_ms", "peak_rss_mb")]
        say(f"{work}, {alternation + 1}, {program}: {', '.join(figures) or 'done'}")

    return keep


def spread(values, digits=0):
    """The median, and from the least to the largest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def counted(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def digits_for(values):
    return 0 if min(values) >= 100 else 1


def figures(reports, key):
    return [report[key] for report in reports]


def row(what, ours, theirs, smaller_is_better, target):
    """A line of the table; `target` is (bound, aim) or None. Times are turned into speeds: their ratio is theirs to ours."""
    inverse = smaller_is_better == "time"
    pairs = [(b / a if inverse else a / b) for a, b in zip(ours, theirs)]
    medians = statistics.median(ours), statistics.median(theirs)
    ratio = medians[1] / medians[0] if inverse else medians[0] / medians[1]
    if target is None:
        wanted, met = "", ""
    else:
        bound, aim = target
        good = (lambda x: ratio <= x) if smaller_is_better == "memory" else (lambda x: ratio >= x)
        sign = "≤" if smaller_is_better == "memory" else "≥"
        wanted = f"{sign} {bound:g}" + (f", aim {aim:g}" if aim else "")
        met = ("aim" if aim and good(aim) else "yes") if good(bound) else "**no**"
    cells = [what, spread(ours, digits_for(ours)), spread(theirs, digits_for(theirs)), f"{ratio:.2f}"]
    return cells + [f"{min(pairs):.2f}..{max(pairs):.2f}", wanted, met]


def table(head, rows):
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machine():
    """The processor and what of it there is."""
    facts = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    flags = facts.get("flags", "").split()
    vectors = next((name for name in ("avx512f", "avx2") if name in flags), platform.machine())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{facts.get('model name', platform.processor() or 'an unknown CPU')} ({vectors}), {cores} cores"


def said_by(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def about(engines):
    """What a reader must know to measure the same again."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return "\n".join([
        f"* machine: {machine()}; load average at the end {load}",
        f"* versions: {', '.join(engines)}; commit {said_by('git', 'rev-parse', '--short', 'HEAD')}, "
        f"{said_by('rustc', '--version')}, Python {platform.python_version()}, {platform.system()} {platform.release()}",
        f"* command: `python {shlex.join(sys.argv)}`",
        f"* date: {datetime.date.today().isoformat()}",
    ])


def targets_of(work, threads):
    """Speed, memory, prefill and that beside the compiler: (bound, aim) or None."""
    if threads == 1:
        least = (ONE_THREAD, None)
        return least, None, least, None
    bound, aim, memory = TARGETS[work]
    return (bound, aim), (memory, None), PREFILL if work == "decode gpt2" else None, (1.0, None)


def compare(args, work):
    """The lines of the table for one work, and the engines that took part."""
    both, alone, compiled = WORKS[work]
    threads = ["--threads", str(args.threads)]
    seconds = ["--seconds", str(args.seconds)] if both[0] == "train" else []
    yardstick = [sys.executable, str(args.yardstick), *both, *threads, *seconds]
    programs = {
        "gpt": lambda: run([args.gpt, "bench", *both, *alone, *threads, *seconds, "--json"]),
        "torch": lambda: run(yardstick),
    }
    if compiled and args.compile:
        programs["torch.compile"] = lambda: run([*yardstick, "--compile"])
    reports = alternate(programs, args.alternations, keeper(args.out, work))
    speed, memory, prefill, beside_compiler = targets_of(work, args.threads)
    column = lambda program, key: figures(reports[program], key)
    ours = lambda key: column("gpt", key)
    rows = [row(f"{work}: tokens/s", ours("tokens_per_s"), column("torch", "tokens_per_s"), None, speed)]
    if "torch.compile" in reports:
        theirs = column("torch.compile", "tokens_per_s")
        rows.append(row(f"{work}: tokens/s, compiled", ours("tokens_per_s"), theirs, None, beside_compiler))
    rows.append(row(f"{work}: peak MB", ours("peak_rss_mb"), column("torch", "peak_rss_mb"), "memory", memory))
    if both[0] == "decode":
        rows.append(row(f"{work}: prefill ms", ours("prefill_ms"), column("torch", "prefill_ms"), "time", prefill))
    if work == "train nano-cpu":
        first = ours("first_step_ms")
        met = "yes" if statistics.median(first) < FIRST_STEP_MS else "**no**"
        rows.append([f"{work}: ms to the first step", spread(first), "", "", "", f"< {FIRST_STEP_MS}", met])
    return rows, [reports["gpt"][0]["engine"], reports["torch"][0]["engine"]]


def chosen(only):
    """The works named by `--only`, whole or in part."""
    if not only:
        return list(WORKS)
    for name in only:
        if not any(name in work for work in WORKS):
            sys.exit(f"--only {name}: none of {', '.join(WORKS)}")
    return [work for work in WORKS if work in only or any(o not in WORKS and o in work for o in only)]


def main():
    parser = common(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter))
    parser.add_argument("--yardstick", type=Path, required=True, help="the PyTorch program")
    parser.add_argument("--seconds", type=float, default=15, help="of training steps (default: %(default)s)")
    parser.add_argument("--only", action="append", help="a work, or a part of its name")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    args = parser.parse_args()
    if not args.yardstick.exists():
        sys.exit(f"--yardstick: there is no {args.yardstick}")
    if args.alternations < 1:
        sys.exit("--alternations: at least 1 is needed")
    rows, engines = [], []
    for work in chosen(args.only):
        more, engines = compare(args, work)
        rows += more
    print(f"Medians of {args.alternations} alternations with {counted(args.threads)} (least..largest)\n")
    print(table(["work", "gpt", "PyTorch", "ratio", "of each pair", "target", "met"], rows))
    print("\n" + about(engines))


if __name__ == "__main__":
    main()
