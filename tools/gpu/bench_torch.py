#!/usr/bin/env python3
"""AlexNet's training step on a GPU: netc beside PyTorch, in turn, precision by precision.

usage: bench_torch.py NETC [-o DIR] [--device cuda:0] [--seconds 1500] [--blocks 7] [--steps 100]
                      [--batches 128,256] [--precisions tf32,bf16,fp32,3xtf32]

For each precision and batch, blocks of steps of netc, of netc with the tilings that `--tune` found
to be the fastest, and of three PyTorch configurations alternate:
  shipped    eager, NCHW, nn.LocalResponseNorm, SGD as it is
  compiled   channels_last, cudnn.benchmark, fused SGD, torch.compile max-autotune, the whole step
             one CUDA graph
  fused-lrn  the same with LRN as one hand-written autograd function
All train on random data. netc starts from bytes (crop, flip, mean); PyTorch gets ready numbers on
the GPU. Prints a table and writes bench.json and bench.md into DIR. What does not fit into
--seconds, or what PyTorch cannot do, is named. Without PyTorch only netc is measured.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import time

from bench_report import Run, write_report

HERE = pathlib.Path(__file__).resolve().parent
VARIANTS = {"shipped": "PyTorch as shipped", "compiled": "PyTorch compiled",
            "fused-lrn": "PyTorch compiled, fused LRN"}
TORCH_PRECISIONS = ("fp32", "tf32", "bf16")
BLOCK_SECONDS = 60  # more than a block of any program takes
FEWEST_BLOCKS = 3


class Failed(Exception):
    """A configuration that cannot be measured, in words."""


class TorchWorker:
    """A warm PyTorch process that takes steps when asked."""

    def __init__(self, variant, precision, batch, args, seconds):
        self.log = args.out / f"torch-{variant}-{precision}-{batch}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "torch_worker.py"), "--variant", variant, "--precision",
                 precision, "--batch", str(batch), "--device", args.device],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        try:
            self.about = self.answer(seconds)
        except Failed:
            self.stop()
            raise

    def answer(self, seconds):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise Failed(f"not ready within {seconds:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            last = self.log.read_text(errors="replace").strip().split("\n")[-1]
            raise Failed(f"ended: {last[:200]}")
        return json.loads(line)

    def block(self, steps):
        try:
            self.process.stdin.write(f"{steps}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer, which does not come, says why
        return statistics.median(self.answer(BLOCK_SECONDS))

    def stop(self):
        self.process.kill()
        self.process.wait()


def netc(args, *command):
    """The JSON that a command of netc prints."""
    command = [args.netc, *command, "--device", args.device, "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: `{' '.join(command)}` failed ({done.returncode})\n{done.stderr}")
    return json.loads(done.stdout)


def netc_plans(precision, batch, args):
    """Compiled plans by what the report calls them."""
    plans = {}
    for name, flags in (("netc", []), ("netc tuned", ["--tune"])):
        plans[name] = args.out / "plans" / f"{name.replace(' ', '-')}-{precision}-{batch}"
        plans[name].parent.mkdir(exist_ok=True)
        netc(args, "compile", "alexnet.yaml", "--batch", str(batch), "--precision", precision,
             "-o", str(plans[name]), *flags)
    return plans


def sm_clock(device):
    """MHz, or None without nvidia-smi."""
    try:
        out = subprocess.run(["nvidia-smi", "-i", device.partition(":")[2] or "0",
                              "--query-gpu=clocks.sm", "--format=csv,noheader,nounits"],
                             check=True, capture_output=True, text=True).stdout
        return int(out.split()[0])
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return None


def start_workers(precision, batch, args, deadline, run):
    """The PyTorch processes of a run that became ready; what did not is noted in it."""
    workers = {}
    if importlib.util.find_spec("torch") is None:
        run.left_out["PyTorch"] = "not on this machine"
    elif precision not in TORCH_PRECISIONS:
        run.left_out["PyTorch"] = "has no such precision"
    else:
        for variant, name in VARIANTS.items():
            # The blocks need their time, too.
            seconds = deadline - time.monotonic() - 6 * args.blocks
            try:
                if seconds < 1:
                    raise Failed("no time left")
                workers[name] = TorchWorker(variant, precision, batch, args, seconds)
                run.about[name] = workers[name].about
            except Failed as reason:
                run.left_out[name] = str(reason)
    return workers


def measure(precision, batch, args, deadline):
    """Blocks of all programs in turn."""
    run = Run(precision, batch)
    start = time.monotonic()
    plans = netc_plans(precision, batch, args)
    run.netc_first_seconds = time.monotonic() - start
    workers = start_workers(precision, batch, args, deadline, run)
    run.sm_mhz_before = sm_clock(args.device)
    for block in range(args.blocks):
        block_start = time.monotonic()
        for name, plan in plans.items():
            result = netc(args, "bench", str(plan), "--steps", str(args.steps))
            run.add(name, result["step_ms_median"])
        run.layers = result["layers"]  # tuned
        for name, worker in list(workers.items()):
            try:
                run.add(name, worker.block(args.steps))
            except Failed as reason:
                run.left_out[name] = str(reason)
                workers.pop(name).stop()
        now = time.monotonic()
        if block + 1 >= FEWEST_BLOCKS and now + (now - block_start) > deadline:
            break
    run.sm_mhz_after = sm_clock(args.device)
    for worker in workers.values():
        worker.stop()
    return run


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
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.glob("torch-*.log"):
        old.unlink()
    shutil.rmtree(args.out / "plans", ignore_errors=True)  # and its tuning tables
    return args


def main():
    args = parse_arguments()
    deadline = time.monotonic() + args.seconds
    runs, skipped, longest = [], [], 0.0
    for batch in map(int, args.batches.split(",")):
        for precision in args.precisions.split(","):
            start = time.monotonic()
            if start + longest > deadline:
                skipped.append(f"{precision}, batch {batch}")
                continue
            print(f"{precision}, batch {batch} ...", file=sys.stderr, flush=True)
            runs.append(measure(precision, batch, args, deadline))
            longest = max(longest, time.monotonic() - start)
            write_report(args.out, runs, skipped, os.getloadavg())
    if not runs:
        sys.exit("error: nothing was measured: there was no time")
    print(write_report(args.out, runs, skipped, os.getloadavg()))


if __name__ == "__main__":
    main()
