#!/usr/bin/env python3
"""AlexNet's training step on a GPU: netc beside PyTorch, in turn, precision by precision.

usage: bench_torch.py NETC [-o DIR] [--device cuda:0] [--seconds 1500] [--blocks 7] [--steps 100]
                      [--batches 128,256] [--precisions tf32,bf16,fp32,3xtf32] [--no-tune]
                      [--autotune none|fused|max] [--after FILE]

For each precision and batch, blocks of steps of netc, of netc with the tilings that `--tune` found
to be the fastest, and of three PyTorch configurations alternate:
  shipped    eager, NCHW, nn.LocalResponseNorm, SGD as it is
  compiled   channels_last, cudnn.benchmark, fused SGD, torch.compile, the whole step one CUDA graph
  fused-lrn  the same with LRN as one hand-written autograd function
All train on random data. netc starts from bytes (crop, flip, mean); PyTorch gets ready numbers on
the GPU. Prints a table and writes bench.json and bench.md into DIR. What does not fit into
--seconds, or what PyTorch cannot do, is named. Without PyTorch only netc is measured.

Two precisions go first, tf32 and bf16, in both batches; they share the time, and what they leave is
for the others. `--autotune` says what torch.compile tries out: nothing (its default mode), tilings
of the kernels that it fuses, or everything ("max-autotune": minutes a configuration). Without it,
whatever goes first is compiled at once, while --after FILE is waited for: that is when the GPU
becomes quiet. DIR/inductor keeps what PyTorch compiled.
"""
import argparse
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time

from bench_programs import TORCH_PRECISIONS, VARIANTS, Failed, Late, NetcPlan, TorchWorker
from bench_report import Run, write_report

FIRST_PRECISIONS = ("tf32", "bf16")
FEWEST_BLOCKS = 3


class Contest:
    """All programs in one precision and batch. Those that measure as they compile do so at once and
    alone; the others have begun to compile."""

    def __init__(self, precision, batch, args):
        self.args, self.run = args, Run(precision, batch)
        self.faults, self.programs = [], {}
        self.add("netc", False, lambda: NetcPlan("netc", [], precision, batch, args))
        if args.tune:
            self.add("netc tuned", True,
                     lambda: NetcPlan("netc tuned", ["--tune"], precision, batch, args))
        if importlib.util.find_spec("torch") is None:
            self.run.left_out["PyTorch"] = "not on this machine"
        elif precision not in TORCH_PRECISIONS:
            self.run.left_out["PyTorch"] = "has no such precision"
        else:
            for variant, name in VARIANTS.items():
                self.add(name, args.autotune != "none",
                         lambda: TorchWorker(variant, precision, batch, args))

    def add(self, name, alone, make):
        if alone:
            self.compiled(self.args.half_time())
        self.programs[name] = make()
        if alone:
            self.compiled(self.args.half_time())

    def attempt(self, name, what):
        """Does something with a program, which is out if that fails."""
        try:
            what(self.programs[name])
        except Failed as reason:
            self.run.left_out[name] = str(reason)
            if isinstance(self.programs[name], NetcPlan) and not isinstance(reason, Late):
                self.faults.append(str(reason))
            self.programs.pop(name).stop()

    def compiled(self, until):
        """Waits until nothing compiles: only then are the GPU and the cores free."""
        for name, program in list(self.programs.items()):
            if not program.about:
                self.attempt(name, lambda p: p.compiled(until - time.monotonic()))

    def measure(self, until):
        """Blocks of all programs in turn: FEWEST_BLOCKS even beyond `until`. Returns the seconds
        that so many take."""
        begun = time.monotonic()
        for name in list(self.programs):
            self.attempt(name, lambda p: p.prepare(self.args.left() / 2))
        self.run.sm_mhz_before = sm_clock(self.args.device)
        prepared, longest = time.monotonic() - begun, 0.0
        for block in range(self.args.blocks):
            start = time.monotonic()
            if start + longest > (until if block >= FEWEST_BLOCKS else self.args.deadline):
                break
            for name in list(self.programs):
                self.attempt(name, lambda p: self.run.add(
                    name, p.block(self.args.steps, self.args.left())))
            longest = max(longest, time.monotonic() - start)
        self.run.sm_mhz_after = sm_clock(self.args.device)
        for name, program in self.programs.items():
            self.run.about[name] = program.about
            self.run.layers = getattr(program, "layers", None) or self.run.layers
        self.stop()
        return prepared + FEWEST_BLOCKS * longest

    def stop(self):
        for program in self.programs.values():
            program.stop()


def sm_clock(device):
    """MHz, or None without nvidia-smi."""
    try:
        out = subprocess.run(["nvidia-smi", "-i", device.partition(":")[2] or "0",
                              "--query-gpu=clocks.sm", "--format=csv,noheader,nounits"],
                             check=True, capture_output=True, text=True).stdout
        return int(out.split()[0])
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("netc")
    parser.add_argument("-o", dest="out", type=pathlib.Path, default=pathlib.Path("gpu-bench"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--seconds", type=float, default=1500)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batches", default="128,256")
    parser.add_argument("--precisions", default="tf32,bf16,fp32,3xtf32")
    parser.add_argument("--no-tune", dest="tune", action="store_false")
    parser.add_argument("--autotune", choices=("none", "fused", "max"), default="none")
    parser.add_argument("--after", type=pathlib.Path)
    args = parser.parse_args()
    args.deadline = time.monotonic() + args.seconds
    args.left = lambda: args.deadline - time.monotonic()
    args.half_time = lambda: time.monotonic() + args.left() / 2
    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.glob("torch-*.log"):
        old.unlink()
    shutil.rmtree(args.out / "plans", ignore_errors=True)  # and its tuning tables
    return args


def order(args):
    """(those that go first, the others), each as (precision, batch)."""
    all_ = [(precision, int(batch)) for batch in args.batches.split(",")
            for precision in args.precisions.split(",")]
    first = [which for which in all_ if which[0] in FIRST_PRECISIONS] or all_[:1]
    return first, [which for which in all_ if which not in first]


def measure_all(args):
    """(runs, what was left out as "precision, batch", faults of netc)"""
    first, others = order(args)
    runs, faults, skipped = [], [], first + others
    needed, waiting = 0.0, []
    try:
        if args.at_once:
            waiting = [Contest(*which, args) for which in first]
        while args.after and not args.after.exists() and args.left() > 0:
            time.sleep(0.05)
        until = args.half_time()
        for contest in waiting:
            contest.compiled(until)
        compiling = max((program.about["seconds_to_compile"] for contest in waiting
                         for program in contest.programs.values()), default=0.0)
        while skipped and needed < args.left():
            until = time.monotonic() + args.left() / max(1, len(first) - len(runs))
            print(f"{named(skipped[0])} ...", file=sys.stderr, flush=True)
            if not waiting:
                start = time.monotonic()
                waiting.append(Contest(*skipped[0], args))
                waiting[0].compiled(args.half_time())
                compiling = time.monotonic() - start
            took = waiting[0].measure(until)
            faults += waiting[0].faults
            runs.append(waiting.pop(0).run)
            skipped.pop(0)
            needed = took + (0 if waiting else compiling)
            write_report(args, runs, [named(which) for which in skipped])
    finally:
        for contest in waiting:
            contest.stop()
    return runs, [named(which) for which in skipped], faults


def named(which):
    return f"{which[0]}, batch {which[1]}"


def main():
    args = parse_arguments()
    args.at_once = args.autotune == "none" and not args.tune
    if args.at_once:  # then many compile beside each other
        threads = max(2, (os.cpu_count() or 1) // 8)
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((args.out / "inductor").resolve()))
    runs, skipped, faults = measure_all(args)
    if not any(run.blocks for run in runs):
        sys.exit("error: nothing was measured: " + (faults[0] if faults else "there was no time"))
    print(write_report(args, runs, skipped))
    if faults:
        sys.exit("error: " + "\n".join(faults))


if __name__ == "__main__":
    main()
