#!/usr/bin/env python3
"""Training steps of the paper's AlexNet in PyTorch on the CPU: one side of compare_torch.py.

Prints one JSON object: milliseconds of each step. The network is models/alexnet.yaml: two groups in
conv2, conv4 and conv5, LRN within each tower, overlapping pooling, dropout, SGD with momentum and
weight decay, random data.
"""
import argparse
import json
import time

import torch
from torch import nn


class TowerNorm(nn.Module):
    """LRN within each of two towers; PyTorch divides alpha by n, the paper does not."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)

    def forward(self, x):
        n, c, h, w = x.shape
        return self.norm(x.reshape(2 * n, c // 2, h, w)).reshape(n, c, h, w)


def alexnet():
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), TowerNorm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), TowerNorm(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 1000))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    net = alexnet().to(memory_format=layout)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)
    images = torch.randint(0, 256, (args.batch, 3, 227, 227)).float().sub_(120)
    images = images.to(memory_format=layout)
    labels = torch.arange(args.batch) % 1000
    loss = nn.CrossEntropyLoss()
    times = []
    for step in range(args.steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(net(images), labels).backward()
        optimizer.step()
        if step > 0:  # the first one warms up
            times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"batch": args.batch, "torch": torch.__version__, "step_ms": times}))


if __name__ == "__main__":
    main()
