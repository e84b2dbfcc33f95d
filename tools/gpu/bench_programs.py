"""The programs that bench_torch.py lets take steps in turn: plans of netc, warm PyTorch processes.

Each compiles from when it is made, maybe beside others; `compiled` waits for that. `prepare` and
`block` then need a quiet GPU. All take at most the seconds they are given. `stop` may be called at
any time, and again.
"""
import json
import pathlib
import select
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VARIANTS = {"shipped": "PyTorch as shipped", "compiled": "PyTorch compiled",
            "fused-lrn": "PyTorch compiled, fused LRN"}
TORCH_PRECISIONS = ("fp32", "tf32", "bf16")


class Failed(Exception):
    """Why a program cannot be measured, in words."""


class Late(Failed):
    """It did not end in its time: no fault, perhaps."""


class NetcPlan:
    """AlexNet compiled by netc, and runs of `netc bench` on it."""

    def __init__(self, name, flags, precision, batch, args):
        self.args, self.about, self.layers = args, {}, []
        self.plan = args.out / "plans" / f"{name.replace(' ', '-')}-{precision}-{batch}"
        self.plan.parent.mkdir(exist_ok=True)
        self.process = self.run("compile", "alexnet.yaml", "--batch", str(batch), "--precision",
                                precision, "-o", str(self.plan), *flags)

    def run(self, *command):
        return subprocess.Popen([self.args.netc, *command, "--device", self.args.device, "--json",
                                 "--quiet"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def answer(self, seconds):
        try:
            out, problem = self.process.communicate(timeout=max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            self.stop()
            raise Late(f"`{self.process.args[1]}` did not end within {seconds:.0f} s") from None
        if self.process.returncode != 0:
            problem = "; ".join(problem.strip().split("\n"))
            raise Failed(f"`{' '.join(self.process.args)}` ended with {self.process.returncode}: "
                         f"{problem}")
        return json.loads(out)

    def compiled(self, seconds):
        self.about["seconds_to_compile"] = self.answer(seconds)["compile_seconds"]

    def prepare(self, seconds):
        """Each block warms itself up."""

    def block(self, steps, seconds):
        """Milliseconds a step."""
        self.process = self.run("bench", str(self.plan), "--steps", str(steps))
        result = self.answer(seconds)
        self.layers = result["layers"]
        return result["step_ms_median"]

    def stop(self):
        self.process.kill()
        self.process.wait()


class TorchWorker:
    """A PyTorch process that takes steps when asked."""

    def __init__(self, variant, precision, batch, args):
        self.about = {}
        self.log = args.out / f"torch-{variant}-{precision}-{batch}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "torch_worker.py"), "--variant", variant, "--precision",
                 precision, "--batch", str(batch), "--device", args.device, "--autotune",
                 args.autotune],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def answer(self, seconds):
        if not select.select([self.process.stdout], [], [], max(seconds, 0.1))[0]:
            self.stop()
            raise Late(f"no answer within {seconds:.0f} s" if seconds > 0 else "no time was left")
        line = self.process.stdout.readline()
        if not line:
            last = self.log.read_text(errors="replace").strip().split("\n")[-1]
            raise Failed(f"ended: {last[:200]}")
        return json.loads(line)

    def ask(self, what, seconds):
        try:
            self.process.stdin.write(f"{what}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer, which does not come, says why
        return self.answer(seconds)

    def compiled(self, seconds):
        self.about.update(self.answer(seconds))

    def prepare(self, seconds):
        self.about.update(self.ask("prepare", seconds))

    def block(self, steps, seconds):
        return statistics.median(self.ask(steps, seconds))

    def stop(self):
        self.process.kill()
        self.process.wait()
