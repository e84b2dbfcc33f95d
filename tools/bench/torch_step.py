#!/usr/bin/env python3
"""Training steps of AlexNet in PyTorch on the CPU: one side of compare_torch.py.

Prints one JSON object: milliseconds of each step.
"""
import argparse
import json
import time

import torch
from torch import nn

from torch_alexnet import alexnet, optimizer_of, random_batch


def main():
    parser = argparse.ArgumentParser(description=__doc__)
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
    optimizer = optimizer_of(net)
    images, labels = random_batch(args.batch, layout)
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
