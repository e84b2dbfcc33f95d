#!/usr/bin/env python3
"""One PyTorch configuration of bench_torch.py, in a process of its own.

Prints a JSON line when it has compiled. The next line it reads makes it ready, which needs a quiet
GPU; it prints what it is. Then, for each line that holds a number, it takes so many training steps
and prints their milliseconds as a JSON list. `--device cpu` serves to test it.
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
# What torch.compile tries out: nothing, tilings of the kernels that it fuses, or those of every
# matrix product and convolution as well.
AUTOTUNE = {"none": {},
            "fused": {"options": {"max_autotune_pointwise": True,
                                  "coordinate_descent_tuning": True}},
            "max": {"mode": "max-autotune-no-cudagraphs"}}


class Trainer:
    """A training step in one precision, as shipped or `tuned`."""

    def __init__(self, args):
        self.device = torch.device(args.device)
        self.tuned = args.variant != "shipped"
        self.bf16 = args.precision == "bf16"
        tf32 = args.precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        layout = torch.channels_last if self.tuned else torch.contiguous_format
        norm = FusedTowerNorm if args.variant == "fused-lrn" else TowerNorm
        self.net = alexnet(norm).to(self.device, memory_format=layout)
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = optimizer_of(self.net, **({"fused": True} if self.tuned else {}))
        self.batches = [random_batch(args.batch, layout, self.device) for _ in range(BATCHES)]
        self.forward = self.forward_loss
        if self.tuned:
            self.forward = torch.compile(self.forward_loss, **AUTOTUNE[args.autotune])
        self.searches = self.tuned and args.autotune == "max"
        self.graphs = []
        self.not_captured = None

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

    def compile(self):
        """Takes the first step. Others may be at the GPU meanwhile, so cuDNN's algorithms must be
        chosen later: PyTorch keeps them by precision, hence the other one here. A search by
        inductor chooses them now, in quiet."""
        tf32 = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.benchmark = self.searches
        torch.backends.cudnn.allow_tf32 = tf32 if self.searches else not tf32
        self.beside(lambda: self.plain_steps(1))
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = self.tuned

    def prepare(self):
        """Warms up and, when tuned on a GPU, captures the whole step as one graph a batch: better
        than torch.compile's own graphs, which leave the optimizer outside and copy the images."""
        self.beside(lambda: self.plain_steps(WARM_UPS))
        if self.tuned and self.device.type == "cuda":
            try:
                self.capture()
            except RuntimeError as error:
                self.graphs = []
                self.not_captured = str(error).split("\n")[0]
        self.steps(WARM_UPS)

    def beside(self, work):
        """On a stream of its own, as capturing asks of what comes before it."""
        if self.device.type != "cuda":
            return work()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()

    def plain_steps(self, count):
        for i in range(count):
            self.plain_step(*self.batches[i % BATCHES])

    def capture(self):
        for batch in self.batches:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.graphs[0].pool() if self.graphs else None):
                self.plain_step(*batch)
            self.graphs.append(graph)

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


def about(trainer, args):
    cuda = trainer.device.type == "cuda"
    return {"torch": torch.__version__, "torch_cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if cuda else None,
            "matmul_allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "autotune": args.autotune if trainer.tuned else None,
            "graphs": len(trainer.graphs), "not_captured": trainer.not_captured}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=["shipped", "compiled", "fused-lrn"], required=True)
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--autotune", choices=AUTOTUNE, default="none")
    args = parser.parse_args()

    # What libraries print must not reach the reader of the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.manual_seed(1)
    start = time.perf_counter()
    trainer = Trainer(args)
    trainer.compile()
    print(json.dumps({"seconds_to_compile": time.perf_counter() - start}), file=answers)
    sys.stdin.readline()
    start = time.perf_counter()
    trainer.prepare()
    print(json.dumps({"seconds_to_prepare": time.perf_counter() - start, **about(trainer, args)}),
          file=answers)
    for line in sys.stdin:
        print(json.dumps(trainer.steps(int(line))), file=answers)


if __name__ == "__main__":
    main()
