#!/usr/bin/env python3
"""One PyTorch configuration of bench_torch.py, in a process of its own.

Prints a JSON line when it is warm, then, for each line that holds a number, takes so many training
steps and prints their milliseconds as a JSON list. `--device cpu` serves to test it.
"""
import argparse
import contextlib
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import torch
from torch import nn

from torch_alexnet import FusedTowerNorm, TowerNorm, alexnet, optimizer_of, random_batch

WARM_UPS = 5
# Batches in turn: together they exceed the L2 cache, as real ones would.
BATCHES = 3


class Trainer:
    """A training step in one precision, as shipped or `tuned`."""

    def __init__(self, args):
        self.device = torch.device(args.device)
        self.tuned = args.variant != "shipped"
        self.bf16 = args.precision == "bf16"
        tf32 = args.precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = self.tuned
        layout = torch.channels_last if self.tuned else torch.contiguous_format
        norm = FusedTowerNorm if args.variant == "fused-lrn" else TowerNorm
        self.net = alexnet(norm).to(self.device, memory_format=layout)
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = optimizer_of(self.net, **({"fused": True} if self.tuned else {}))
        self.batches = [random_batch(args.batch, layout, self.device) for _ in range(BATCHES)]
        self.forward = self.forward_loss
        if self.tuned:
            self.forward = torch.compile(self.forward_loss, mode="max-autotune-no-cudagraphs")
        self.graphs = []

    def forward_loss(self, images, labels):
        return self.loss(self.net(images), labels)

    def plain_step(self, images, labels):
        self.optimizer.zero_grad(set_to_none=True)
        precision = (torch.autocast(self.device.type, dtype=torch.bfloat16) if self.bf16
                     else contextlib.nullcontext())
        with precision:
            loss = self.forward(images, labels)
        loss.backward()
        self.optimizer.step()

    def warm_up(self):
        for i in range(WARM_UPS):
            self.plain_step(*self.batches[i % BATCHES])

    def prepare(self):
        """Warms up and, when tuned on a GPU, captures the whole step as one graph a batch: better
        than torch.compile's own graphs, which leave the optimizer outside and copy the images."""
        if not self.tuned or self.device.type != "cuda":
            return self.warm_up()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.warm_up()
        torch.cuda.current_stream().wait_stream(side)
        for batch in self.batches:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.graphs[0].pool() if self.graphs else None):
                self.plain_step(*batch)
            self.graphs.append(graph)
        self.steps(WARM_UPS)

    def step(self, i):
        if self.graphs:
            self.graphs[i % BATCHES].replay()
        else:
            self.plain_step(*self.batches[i % BATCHES])

    def steps(self, count):
        """Milliseconds from the start of each step to that of the next, on the device's clock."""
        if self.device.type != "cuda":
            marks = [time.perf_counter()]
            for i in range(count):
                self.step(i)
                marks.append(time.perf_counter())
            return [(b - a) * 1e3 for a, b in zip(marks, marks[1:])]
        events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
        events[0].record()
        for i in range(count):
            self.step(i)
            events[i + 1].record()
        torch.cuda.synchronize()
        return [a.elapsed_time(b) for a, b in zip(events, events[1:])]


def versions(device):
    cuda = device.type == "cuda"
    return {"torch": torch.__version__, "torch_cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if cuda else None,
            "matmul_allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=["shipped", "compiled", "fused-lrn"], required=True)
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--device", default="cuda:0")
    args = parser.parse_args()

    # What libraries print must not reach the reader of the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.manual_seed(1)
    start = time.perf_counter()
    trainer = Trainer(args)
    trainer.prepare()
    print(json.dumps({"seconds_to_first_steps": time.perf_counter() - start,
                      **versions(trainer.device)}), file=answers)
    for line in sys.stdin:
        print(json.dumps(trainer.steps(int(line))), file=answers)


if __name__ == "__main__":
    main()
