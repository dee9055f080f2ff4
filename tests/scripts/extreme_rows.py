#!/usr/bin/env python3
"""Softmax and its relatives in PyTorch on rows with huge, infinite and NaN entries, values and gradients.

    python tests/scripts/extreme_rows.py > tests/fixtures/extreme_rows.txt
Each line: function, the row, the value, the gradient of the row for the incoming gradient 1, 2, -1/2 (1 for scalars).
Needs: pip install torch (the file was made by the version named in its first line)
"""
import torch
import torch.nn.functional as F

inf, nan = float("inf"), float("nan")
ROWS = [[1e4, -1e4, 0.0], [1e4, 1e4, -1e4], [1e4, 9999.5, 9998.0], [-1e4, -1e4, -1e4], [-1e4, -9999.0, 0.0],
        [-inf, 0.0, 1.0], [-inf, -inf, 3.0], [-inf, 1e4, -1e4], [-inf, -inf, -inf], [inf, 0.0, 1.0], [inf, inf, 0.0],
        [inf, -inf, 0.0], [inf, inf, inf], [nan, 0.0, 1.0], [-inf, nan, 0.0], [inf, nan, -inf], [nan, nan, nan]]
FUNCTIONS = {"softmax": lambda x: F.softmax(x, 0), "log_softmax": lambda x: F.log_softmax(x, 0),
             "logsumexp": lambda x: torch.logsumexp(x, 0)}
for t in range(3):
    FUNCTIONS[f"cross_entropy_{t}"] = lambda x, t=t: F.cross_entropy(x, torch.tensor(t))


def main():
    print(f"# tests/scripts/extreme_rows.py, torch {torch.__version__}")
    show = lambda t: ",".join(map(repr, t.flatten().tolist()))
    for name, function in FUNCTIONS.items():
        for row in ROWS:
            x = torch.tensor(row, dtype=torch.float64, requires_grad=True)
            y = function(x)
            y.backward(torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64) if y.dim() else None)
            print(name, show(x.detach()), show(y.detach()), show(x.grad))


if __name__ == "__main__":
    main()
