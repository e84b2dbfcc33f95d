"""What bench_torch.py measured, as JSON and as Markdown, each figure beside its floor."""
import datetime
import json
import os
import re
import statistics
import subprocess

from floors import LAYERS, floors, step_floor, update_floor


class Run:
    """Medians of blocks of steps of all programs, in one precision and batch."""

    def __init__(self, precision, batch):
        self.precision, self.batch = precision, batch
        self.blocks = {}  # milliseconds by program
        self.left_out = {}  # reasons by program
        self.about = {}  # versions, times before the first step, by program
        self.layers = []  # netc's launches, of the tuned plan if there is one
        self.sm_mhz_before = self.sm_mhz_after = None

    def add(self, name, milliseconds):
        self.blocks.setdefault(name, []).append(milliseconds)

    def summary(self, name):
        """Median and quartiles over blocks; `a_over_a`: odd blocks over even ones, which are the
        same thing measured twice, so a smaller difference between programs is none."""
        blocks = self.blocks[name]
        low, middle, high = (statistics.quantiles(blocks, n=4, method="inclusive")
                             if len(blocks) > 1 else blocks * 3)
        return {"step_ms_median": middle, "step_ms_quartile_1": low, "step_ms_quartile_3": high,
                "images_per_second": self.batch / middle * 1e3,
                "times_floor": middle / step_floor(self.batch, self.precision),
                "times_netc": (middle / statistics.median(self.blocks["netc"])
                               if "netc" in self.blocks else None),
                "a_over_a": (statistics.median(blocks[::2]) / statistics.median(blocks[1::2])
                             if len(blocks) > 1 else None),
                "blocks_ms": blocks}

    def to_json(self):
        return {"precision": self.precision, "batch": self.batch,
                "floor_ms": step_floor(self.batch, self.precision),
                "programs": {name: {**self.summary(name), **self.about.get(name, {})}
                             for name in self.blocks},
                "left_out": self.left_out,
                "sm_mhz_before": self.sm_mhz_before, "sm_mhz_after": self.sm_mhz_after,
                "parts": self.parts()}

    def parts(self):
        """netc's milliseconds beside the floor, by layer and pass. The floor of an update that is
        fused with a weight gradient goes there."""
        limits = floors(self.batch, self.precision)
        times = {}
        for launch in self.layers:
            part = part_of(launch["name"])
            times[part] = times.get(part, 0.0) + launch["ms"]
            if part[0] in LAYERS and "sgd_update" in launch["name"]:
                update = update_floor(LAYERS[part[0]][2])
                limits[part] += update
                limits["update", "weight gradient"] -= update
        return [{"part": part, "pass": which, "ms": times.get((part, which)),
                 "floor_ms": limits.get((part, which))}
                for part, which in {**limits, **times}]


CONTRACTION = re.compile(r"\b(?:conv2d|linear)(_data_gradient|_weight_gradient)?\b")


def part_of(label):
    """(part, pass) of a launch of AlexNet: `relu4.grad.fused: conv2d_data_gradient + relu_grad` is
    conv5's data gradient. A fused node has the name of its last one; the ReLU below a layer has the
    number before the layer's."""
    name, _, operators = label.partition(": ")
    contraction = CONTRACTION.search(operators)
    if contraction:
        number = int(re.search(r"\d+", name)[0])
        which = contraction[1].strip("_").replace("_", " ") if contraction[1] else "forward"
        if which == "data gradient" and name.startswith("relu"):
            number += 1
        return ("conv" if number <= 5 else "fc") + str(number), which
    if "pool2d" in operators or "lrn" in operators:
        return "pools", "data gradient" if "_grad" in operators else "forward"
    if "sgd_update" in operators:
        return "update", "weight gradient"
    if "channel_sum" in operators:
        return "biases", "weight gradient"
    if "input_image" in operators:
        return "input", "forward"
    return "others", ""


def cell(value, form):
    return "" if value is None else format(value, form)


def table(header, rows, texts):
    """The first columns are `texts`, the others numbers."""
    rule = ["---"] * texts + ["--:"] * (len(header) - texts)
    return ["| " + " | ".join(header) + " |", "|" + "|".join(rule) + "|",
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def step_rows(run):
    for name in run.blocks:
        s = run.summary(name)
        yield [run.precision, str(run.batch), name, f"{s['step_ms_median']:.3f}",
               f"{s['step_ms_quartile_1']:.3f} to {s['step_ms_quartile_3']:.3f}",
               f"{s['images_per_second']:,.0f}", f"{step_floor(run.batch, run.precision):.2f}",
               f"{s['times_floor']:.2f}", cell(s["times_netc"], ".2f"),
               cell(s["a_over_a"], ".3f"), str(len(s["blocks_ms"]))]


def layer_table(runs):
    """netc's parts beside their floors, of runs of the same batch."""
    rows = {}
    for i, run in enumerate(runs):
        for p in run.parts():
            row = rows.setdefault((p["part"], p["pass"]), [""] * (2 * len(runs)))
            row[2 * i:2 * i + 2] = cell(p["ms"], ".3f"), cell(p["floor_ms"], ".3f")
    total = []
    for run in runs:
        sums = [sum(p[key] or 0 for p in run.parts()) for key in ("ms", "floor_ms")]
        total += [f"{x:.3f}" for x in sums]
    return table(["part", "pass", *(head for run in runs for head in (run.precision, "floor"))],
                 [[*key, *row] for key, row in rows.items()] + [["all", "", *total]], 2)


AUTOTUNE = {"none": "its default mode", "fused": "tilings of fused kernels tried out",
            "max": "max-autotune"}


def facts(args, runs, load):
    """Where and how, in one paragraph."""
    try:
        card = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version",
                               "--format=csv,noheader"],
                              check=True, capture_output=True, text=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        card = "unknown card"
    torch = next((about for run in runs for about in run.about.values() if "torch" in about), None)
    return [f"{datetime.date.today()}, {card}; medians of blocks of {args.steps} steps, in turn; "
            + (f"PyTorch {torch['torch']}, cuDNN {torch['cudnn']}, torch.compile: "
               f"{AUTOTUNE[args.autotune]}" if torch else "no PyTorch")
            + f"; load of the machine {', '.join(f'{x:.2f}' for x in load)}. Times netc: above 1, "
            "netc is faster.", ""]


def markdown(args, runs, skipped, load):
    lines = facts(args, runs, load)
    lines += table(["precision", "batch", "program", "ms a step", "quartiles", "images/s",
                    "floor ms (H200)", "times floor", "times netc", "A/A", "blocks"],
                   [row for run in runs for row in step_rows(run)], 3)
    for batch in dict.fromkeys(run.batch for run in runs):
        measured = [run for run in runs if run.batch == batch and run.layers]
        if measured:
            lines.append(f"netc's kernels, batch {batch}: ms, launch by launch outside the graph, "
                         "and the floor on an H200.\n")
            lines += layer_table(measured)
    for run in runs:
        where = f"{run.precision}, batch {run.batch}"
        lines += [f"- {where}: {name} left out: {why}" for name, why in run.left_out.items()]
        lines.append(f"- {where}: SM clock {run.sm_mhz_before} MHz before, {run.sm_mhz_after} MHz "
                     "after")
        lines += [f"- {where}: {name}: {json.dumps(about)}" for name, about in run.about.items()]
    lines += [f"- {which}: left out, no time left" for which in skipped]
    return "\n".join(lines) + "\n"


def write_report(args, runs, skipped):
    """Writes bench.json and bench.md; returns the Markdown."""
    load = os.getloadavg()
    text = markdown(args, runs, skipped, load)
    (args.out / "bench.md").write_text(text, encoding="utf-8")
    (args.out / "bench.json").write_text(
        json.dumps({"steps": args.steps, "autotune": args.autotune,
                    "runs": [run.to_json() for run in runs], "left_out": skipped,
                    "load": list(load)}, indent=2) + "\n", encoding="utf-8")
    return text
