#!/usr/bin/env python3
"""How fast matrix products are beside PyTorch's (MKL's): both run in turn, and the ratios of their medians are printed.

    cargo build --release
    python tests/scripts/compare_matmul.py [--threads 2] [--alternations 5] [--seconds 0.3] [--filter gpt2]

`gpt bench kernels --filter matmul --json` tells the shapes and where the operands lie; PyTorch computes the same products
in a process of its own. Of each run the median call counts. A ratio of at least 1 is the target, and with one thread 85%
of the rate of fused multiply-adds. `--out` gets the raw JSON lines.

Needs: pip install torch.
"""
import argparse
import json
import statistics
import sys
import time

from compare_speed import about, alternate, common, counted, keeper, run, table

SHARE = 0.85


def measure():
    """In the process of PyTorch: the median milliseconds of each product that stdin lists."""
    import torch

    asked = json.load(sys.stdin)
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    typical = {}
    for product in asked["products"]:
        m, k, n, form = (product[key] for key in ("m", "k", "n", "form"))
        a = torch.randn(*((k, m) if form == "tn" else (m, k)))
        b = torch.randn(*((n, k) if form == "nt" else (k, n)))
        call = {
            "nn": lambda: a @ b,
            "nt": lambda: torch.nn.functional.linear(a, b),
            "tn": lambda: a.t() @ b,
        }[form]
        with torch.no_grad():
            call()
            times, stop = [], time.perf_counter() + asked["seconds"]
            while time.perf_counter() < stop or len(times) < 3:
                begun = time.perf_counter()
                call()
                times.append(time.perf_counter() - begun)
        typical[product["name"]] = statistics.median(times) * 1e3
    print(json.dumps({"engine": f"torch {torch.__version__}", "ms": typical}))


def main():
    parser = common(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter))
    about_seconds = "for each product, here together with its limit (default: %(default)s)"
    parser.add_argument("--seconds", type=float, default=0.3, help=about_seconds)
    parser.add_argument("--filter", default="", help="words in the names of the products")
    args = parser.parse_args()
    filter = f"matmul {args.filter}".strip()
    # The rates of memory do not matter here, so they need not be true.
    command = [args.gpt, "bench", "kernels", "--filter", filter, "--megabytes", "1", "--json"]
    ours = lambda seconds: run([*command, "--threads", str(args.threads), "--seconds", str(seconds)])
    asked = {"threads": args.threads, "seconds": args.seconds, "products": ours(0)["kernels"]}
    programs = {
        "gpt": lambda: ours(args.seconds),
        "torch": lambda: run([sys.executable, __file__, "measure"], json.dumps(asked)),
    }
    reports = alternate(programs, args.alternations, keeper(args.out, filter))
    rows, below = [], 0
    for i, product in enumerate(asked["products"]):
        mine = [report["kernels"][i] for report in reports["gpt"]]
        theirs = [report["ms"][product["name"]] for report in reports["torch"]]
        ms = [kernel["ms"] for kernel in mine]
        pairs = [b / a for a, b in zip(ms, theirs)]
        ratio = statistics.median(theirs) / statistics.median(ms)
        share = statistics.median(kernel["share"] for kernel in mine)
        good = ratio >= 1 and (args.threads > 1 or share >= SHARE)
        below += not good
        rate = 2e-6 * product["m"] * product["k"] * product["n"]
        rows.append([
            product["name"], f"{product['m']} x {product['k']} x {product['n']} {product['form']}",
            f"{rate / statistics.median(ms):.0f}", f"{rate / statistics.median(theirs):.0f}", f"{ratio:.2f}",
            f"{min(pairs):.2f}..{max(pairs):.2f}", f"{share:.0%}", "yes" if good else "**no**",
        ])
    peak = statistics.median(kernel["limit_rate"] for report in reports["gpt"] for kernel in report["kernels"])
    print(f"Medians of {args.alternations} alternations with {counted(args.threads)}; fused multiply-adds {peak:.0f} GFLOP/s\n")
    head = ["product", "m x k x n", "gpt GFLOP/s", "torch GFLOP/s", "ratio", "of each pair", "of the peak", "met"]
    print(table(head, rows))
    wanted = "a ratio of at least 1" + (f" and {SHARE:.0%} of the peak" if args.threads == 1 else "")
    print(f"\n{len(rows) - below} of {len(rows)} products reach {wanted}.\n")
    print(about([reports["gpt"][0]["engine"], reports["torch"][0]["engine"]]))


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
