"""Linear layers with low-rank adapters, from the formula of Hu et al. 2021 (equation 3), under the names that `peft` uses."""
from torch import nn


class Linear(nn.Linear):
    """y = x W' + b + (alpha / r) B A x, with W and b frozen."""

    def __init__(self, inputs, outputs, rank, alpha, bias=True):
        super().__init__(inputs, outputs, bias)
        self.requires_grad_(False)
        self.alpha, self.rank = alpha, rank
        self.lora_A = nn.Linear(inputs, rank, bias=False)
        self.lora_B = nn.Linear(rank, outputs, bias=False)

    def forward(self, x):
        delta = self.lora_B.weight @ self.lora_A.weight
        return super().forward(x) + x @ delta.T * (self.alpha / self.rank)

    def extra_repr(self):
        return f"{super().extra_repr()}, lora_alpha={float(self.alpha)}, lora_dropout=0.0"


def cases(c):
    c.add("adapted", Linear(4, 3, 2, 16), c.randn(2, 5, 4))
    c.add("adapted_no_bias", Linear(4, 3, 1, 0.5, bias=False), c.randn(4))
    # Only the second layer has one.
    plain = nn.Linear(4, 5).requires_grad_(False)
    c.add("adapted_mlp", nn.Sequential(plain, nn.Tanh(), Linear(5, 2, 8, 8)), c.randn(3, 4))
