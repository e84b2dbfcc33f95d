#!/usr/bin/env python3
"""Speed of netc's AlexNet training step beside PyTorch's, on this machine, in turn.

usage: compare_torch.py NETC [--batch 64] [--blocks 3] [--steps 5]

Runs netc and each PyTorch configuration A B C A B C ..., so that a drift of the machine meets all;
prints the median over blocks of each one's median step, the spread, and the ratios. PyTorch is
measured as shipped, with channels_last, and, where jemalloc is installed, with it preloaded and huge
pages on (the best configuration known). Packages: python3-torch, libjemalloc2.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
JEMALLOC = [path for path in ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
                              "/usr/lib/aarch64-linux-gnu/libjemalloc.so.2")
            if os.path.exists(path)]
# Debian's PyTorch belongs to Debian's Python.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"


def run_netc(netc, args):
    out = subprocess.run([netc, "bench", "alexnet", "--batch", str(args.batch), "--steps",
                          str(args.steps), "--json", "--quiet"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["step_ms_median"]


def run_torch(args, extra=(), environment=None):
    out = subprocess.run([PYTHON, str(HERE / "torch_step.py"), "--batch", str(args.batch), "--steps",
                          str(args.steps), "--threads", str(os.cpu_count()), *extra],
                         check=True, capture_output=True, text=True,
                         env={**os.environ, **(environment or {})}).stdout
    return statistics.median(json.loads(out)["step_ms"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("netc")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()

    sides = {"netc": lambda: run_netc(args.netc, args),
             "PyTorch": lambda: run_torch(args),
             "PyTorch, channels_last": lambda: run_torch(args, ["--channels-last"])}
    if JEMALLOC:
        tuned = {"LD_PRELOAD": JEMALLOC[0],
                 "MALLOC_CONF": "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"}
        sides["PyTorch, jemalloc + huge pages"] = lambda: run_torch(args, environment=tuned)

    times = {name: [] for name in sides}
    for block in range(args.blocks):
        for name, measure in sides.items():
            times[name].append(measure())
            print(f"block {block + 1}: {name}: {times[name][-1]:.0f} ms", flush=True)
    ours = statistics.median(times["netc"])
    print(f"\nAlexNet training step, batch {args.batch}, {os.cpu_count()} cores, "
          f"median of {args.blocks} blocks of {args.steps} steps")
    for name, list_ in times.items():
        middle = statistics.median(list_)
        print(f"{name:32} {middle:8.0f} ms ({min(list_):.0f} to {max(list_):.0f})  "
              f"{args.batch / middle * 1e3:6.1f} images/s  netc is {middle / ours:.2f}x as fast")


if __name__ == "__main__":
    main()
