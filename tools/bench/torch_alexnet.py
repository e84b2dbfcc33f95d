"""The paper's AlexNet in PyTorch, as models/alexnet.yaml describes it, for comparisons with netc.

Two groups in conv2, conv4 and conv5, LRN within each tower, overlapping pooling, dropout; SGD with
momentum, biases at twice the rate and without weight decay.
"""
import torch
from torch import nn
from torch.nn import functional

LRN = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0}  # alpha is not divided by size


class TowerNorm(nn.Module):
    """PyTorch's own LRN within each of two towers; it divides alpha by the window's size."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LocalResponseNorm(LRN["size"], alpha=LRN["size"] * LRN["alpha"],
                                         beta=LRN["beta"], k=LRN["k"])

    def forward(self, x):
        n, c, h, w = x.shape
        return self.norm(x.reshape(2 * n, c // 2, h, w)).reshape(n, c, h, w)


def window_sum(x):
    """Sums of `size` neighbours along dimension 2, zeros beyond its ends."""
    half = LRN["size"] // 2
    length = x.shape[2]
    padded = functional.pad(x, (0, 0, 0, 0, half, half))
    return sum(padded[:, :, i:i + length] for i in range(LRN["size"]))


class WindowNorm(torch.autograd.Function):
    """LRN of (image, tower, channel, row, column) with the gradient written by hand: it keeps x
    alone, where automatic differentiation keeps every intermediate tensor. torch.compile makes of
    each direction one or two kernels."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        scale = LRN["k"] + LRN["alpha"] * window_sum(x.float() * x.float())
        root = torch.rsqrt(scale)
        return (x * (root * torch.sqrt(root))).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x = ctx.saved_tensors[0]
        wide, grad = x.float(), grad.float()
        scale = LRN["k"] + LRN["alpha"] * window_sum(wide * wide)
        root = torch.rsqrt(scale)
        power = root * torch.sqrt(root)  # scale ** -0.75
        inner = window_sum(grad * wide * power / scale)
        return (grad * power - 2 * LRN["alpha"] * LRN["beta"] * wide * inner).to(x.dtype)


class FusedTowerNorm(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        return WindowNorm.apply(x.reshape(n, 2, c // 2, h, w)).reshape(n, c, h, w)


def alexnet(norm=TowerNorm):
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), norm(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 1000))


def optimizer_of(net, **options):
    """The recipe's SGD at a rate too small to matter: a benchmark trains on noise."""
    rate = 1e-6
    weights = [p for p in net.parameters() if p.dim() > 1]
    biases = [p for p in net.parameters() if p.dim() == 1]
    return torch.optim.SGD([{"params": weights, "weight_decay": 5e-4},
                            {"params": biases, "weight_decay": 0.0, "lr": 2 * rate}],
                           lr=rate, momentum=0.9, **options)


def random_batch(batch, layout, device="cpu"):
    """Random pixels less a mean, with labels."""
    images = torch.randint(0, 256, (batch, 3, 227, 227), device=device).float().sub_(120)
    labels = torch.arange(batch, device=device) % 1000
    return images.to(memory_format=layout), labels
