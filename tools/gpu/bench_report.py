"""What bench_torch.py measured, as JSON and as Markdown, each figure beside its floor."""
import json
import re
import statistics

from floors import floors, step_floor


class Run:
    """Medians of blocks of steps of all programs, in one precision and batch."""

    def __init__(self, precision, batch):
        self.precision, self.batch = precision, batch
        self.blocks = {}  # milliseconds by program
        self.left_out = {}  # reasons by program
        self.about = {}  # versions and first latency by program
        self.layers = []  # netc's launches
        self.netc_first_seconds = None
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
                "a_over_a": (statistics.median(blocks[::2]) / statistics.median(blocks[1::2])
                             if len(blocks) > 1 else None),
                "blocks_ms": blocks}

    def to_json(self):
        return {"precision": self.precision, "batch": self.batch,
                "floor_ms": step_floor(self.batch, self.precision),
                "programs": {name: {**self.summary(name), **self.about.get(name, {})}
                             for name in self.blocks},
                "left_out": self.left_out, "netc_first_seconds": self.netc_first_seconds,
                "sm_mhz_before": self.sm_mhz_before, "sm_mhz_after": self.sm_mhz_after,
                "parts": self.parts()}

    def parts(self):
        """netc's milliseconds beside the floor, by layer and pass."""
        limits = floors(self.batch, self.precision)
        times = {}
        for launch in self.layers:
            part = part_of(launch["name"])
            times[part] = times.get(part, 0.0) + launch["ms"]
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
    if "input_image" in operators:
        return "input", "forward"
    return "others", ""


def cell(value, form):
    return "" if value is None else format(value, form)


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def step_rows(run):
    for name in run.blocks:
        s = run.summary(name)
        yield [run.precision, str(run.batch), name, f"{s['step_ms_median']:.3f}",
               f"{s['step_ms_quartile_1']:.3f} to {s['step_ms_quartile_3']:.3f}",
               f"{s['images_per_second']:.0f}", f"{step_floor(run.batch, run.precision):.2f}",
               f"{s['times_floor']:.2f}", cell(s["a_over_a"], ".3f"), str(len(s["blocks_ms"]))]


def markdown(runs, skipped, load):
    lines = table(["precision", "batch", "program", "ms a step", "quartiles", "images/s",
                   "floor ms (H200)", "times floor", "A/A", "blocks"],
                  [row for run in runs for row in step_rows(run)])
    for run in runs:
        where = f"{run.precision}, batch {run.batch}"
        lines += [f"- {where}: {name} left out: {why}" for name, why in run.left_out.items()]
        lines.append(f"- {where}: SM clock {run.sm_mhz_before} MHz before, {run.sm_mhz_after} "
                     f"after; netc compiled and tuned in {run.netc_first_seconds:.1f} s")
        lines += [f"- {where}: {name}: {json.dumps(about)}" for name, about in run.about.items()]
    lines += [f"- {which}: left out, no time left" for which in skipped]
    lines += [f"- load of the machine: {', '.join(f'{x:.2f}' for x in load)}", ""]
    for run in runs:
        lines.append(f"netc tuned by layer, {run.precision}, batch {run.batch} (launch by launch, "
                     "outside the graph):\n")
        lines += table(["part", "pass", "ms", "floor ms (H200)"],
                       [[p["part"], p["pass"], cell(p["ms"], ".3f"), cell(p["floor_ms"], ".3f")]
                        for p in run.parts()])
    return "\n".join(lines)


def write_report(folder, runs, skipped, load):
    """Writes bench.json and bench.md; returns the Markdown."""
    text = markdown(runs, skipped, load)
    (folder / "bench.md").write_text(text, encoding="utf-8")
    (folder / "bench.json").write_text(
        json.dumps({"runs": [run.to_json() for run in runs], "left_out": skipped,
                    "load": list(load)}, indent=2) + "\n", encoding="utf-8")
    return text
