#!/usr/bin/env python3
"""tools/gpu/check.sh where a GPU seems to be: every program it calls is a stand-in."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from sources import ROOT

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools/gpu"))
import bench_programs  # noqa: E402
import bench_report  # noqa: E402
import bench_torch  # noqa: E402
import floors  # noqa: E402

CHECK = ROOT / "tools/gpu/check.sh"

NETC = r"""#!/bin/bash
for ((i = 1; i <= $#; ++i)); do [ "${!i}" = --run ] && { ((++i)); run=${!i}; }; done
case $1 in
devices) echo 'cuda:0  stand-in' ;;
doctor) echo 'ok      NVRTC             NVRTC 13.0' ;;
train)
  SLOW
  mkdir -p "$run" && touch "$run/curves.svg"
  printf 'step,train_loss,val_loss\n10,6.9,\n20,LOSS,\n' >"$run/metrics.csv"
  ;;
compile) echo '{"compile_seconds": 7.7}' ;;
bench)
  BENCH
  echo '{"step_ms_median": 3.8, "layers": [{"name": "conv1.add: conv2d", "ms": 1}]}'
  ;;
esac
"""
TESTS = r"""#!/bin/bash
case $* in
*--gtest_list_tests*) printf 'ConvolutionGpu.\n  One\n  Two\nAll/PoolGpu.\n  One  # of all\n' ;;
*=All/PoolGpu.*) echo 'TESTS' ;;
*=ConvolutionGpu.*) echo '[  PASSED  ] 2 tests.' ;;
*) exit 1 ;;
esac
"""
SANITIZER = r"""#!/bin/bash
echo '========= ERROR SUMMARY: ERRORS errors'
"""
WORKER = r"""
import json, sys, time
variant = sys.argv[sys.argv.index("--variant") + 1]
if variant == "compiled":
    sys.exit("no such GPU")
if variant == "fused-lrn":
    time.sleep(60)
print(json.dumps({"seconds_to_compile": 1}), flush=True)
assert input() == "prepare"
print(json.dumps({"torch": "2.11", "cudnn": 91900}), flush=True)
for line in sys.stdin:
    print(json.dumps([1.9] * (int(line) - 1) + [100]), flush=True)
"""
SMI = """#!/bin/bash
case $* in
*name*) echo 'NVIDIA "H200", 580.1, 143771 MiB' ;;
*) echo 1980 ;;
esac
"""


class GpuCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.put("path/nvidia-smi", SMI)
        # No PyTorch, whatever this machine has.
        self.put("path/python3", f'#!/bin/bash\nexec "{sys.executable}" -S -B "$@"\n')

    def put(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def machine(self, loss="2.3", tests="[  PASSED  ] 1 test.", errors="0", slow="", bench=""):
        self.put("build/bin/netc",
                 NETC.replace("LOSS", loss).replace("SLOW", slow).replace("BENCH", bench))
        self.put("build/bin/cuda_tests", TESTS.replace("TESTS", tests))
        self.put("path/compute-sanitizer", SANITIZER.replace("ERRORS", errors))

    def check(self, *arguments):
        return subprocess.run([str(CHECK), *arguments], cwd=self.folder, capture_output=True,
                              text=True, env={**os.environ,
                                              "PATH": f"{self.folder}/path:{os.environ['PATH']}"})

    def report(self, status, *arguments):
        """The JSON report of a check that ends with `status`."""
        done = self.check("build", "-o", "report", *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads((self.folder / "report/check.json").read_text(encoding="utf-8"))

    def results(self, report):
        return {stage["name"]: stage["result"] for stage in report["stages"]}

    def test_wrong_arguments_get_the_usage(self):
        self.machine()
        for arguments in ([], ["--fast"], ["nowhere"], ["build", "build"], ["build", "-o"],
                          ["build", "--seconds", "soon"]):
            done = self.check(*arguments)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("usage: tools/gpu/check.sh", done.stderr)
        self.assertEqual(self.check("--help").returncode, 0)

    def test_without_a_gpu_nothing_is_begun(self):
        self.machine()
        self.put("path/nvidia-smi", "#!/bin/bash\necho 'No devices were found'\nexit 6\n")
        done = self.check("build")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no GPU on this machine: nvidia-smi says: No devices were found", done.stderr)
        self.assertFalse((self.folder / "gpu-report").exists())

    def test_all_is_well(self):
        self.machine()
        report = self.report(0, "--commit", "c0ffee")
        self.assertEqual(set(self.results(report).values()), {"passed"})
        self.assertEqual(list(self.results(report)), ["devices", "gpu tests", "memcheck",
                                                      "racecheck", "train alexnet", "bench"])
        self.assertEqual(report["stages"][1]["note"], "3 tests")
        for suite in ("ConvolutionGpu", "All-PoolGpu"):
            log = self.folder / f"report/logs/gpu-tests-{suite}.log"
            self.assertIn("PASSED", log.read_text(encoding="utf-8"))
        self.assertEqual((report["commit"], report["device"], report["driver"], report["nvrtc"]),
                         ("c0ffee", 'NVIDIA "H200"', "580.1", "NVRTC 13.0"))
        self.assertEqual([(run["precision"], run["batch"]) for run in report["bench"]["runs"]],
                         [("tf32", 128), ("bf16", 128), ("tf32", 256), ("bf16", 256),
                          ("fp32", 128), ("3xtf32", 128), ("fp32", 256), ("3xtf32", 256)])
        run = report["bench"]["runs"][0]
        self.assertEqual(run["programs"]["netc"]["step_ms_median"], 3.8)
        self.assertEqual(len(run["programs"]["netc"]["blocks_ms"]), 7)
        self.assertEqual(run["left_out"], {"PyTorch": "not on this machine"})
        text = (self.folder / "report/check.md").read_text(encoding="utf-8")
        self.assertIn("all well", text)
        self.assertIn("| tf32 | 128 | netc | 3.800 |", text)
        self.assertIn("| conv1 | forward | 1.000 |", text)
        self.assertNotIn("netc tuned", text)

    def test_one_stage_that_fails_is_enough(self):
        for machine, stage in (({"loss": "6.9"}, "train alexnet"),
                               ({"loss": "nan"}, "train alexnet"),
                               ({"tests": "[  SKIPPED ] 2 tests"}, "gpu tests"),
                               ({"errors": "3"}, "memcheck")):
            self.machine(**machine)
            results = self.results(self.report(2))
            self.assertEqual(results[stage], "failed", machine)
            self.assertEqual(results["bench"], "passed")

    def test_the_suite_that_fails_is_named(self):
        self.machine(tests="cannot go on'; exit 3; echo '")
        report = self.report(2)
        self.assertEqual(report["stages"][1]["note"], "1 suites failed; All/PoolGpu: `cuda_tests` "
                                                      "ended with 3: cannot go on")

    def test_a_benchmark_that_fails_is_not_hidden_by_others(self):
        fault = '[[ $* == */netc-tf32-128* ]] && echo "error: lost the GPU" >&2 && exit 3'
        self.machine(bench=fault)
        report = self.report(2)
        self.assertIn("ended with 3: error: lost the GPU", report["stages"][-1]["note"])
        self.assertEqual(report["bench"]["runs"][0]["programs"], {})
        self.assertEqual(report["bench"]["runs"][1]["programs"]["netc"]["step_ms_median"], 3.8)

    def test_no_tests_are_no_passed_tests(self):
        self.machine()
        self.put("build/bin/cuda_tests", "#!/bin/bash\n")
        self.assertEqual(self.results(self.report(2))["gpu tests"], "failed")

    def test_a_program_that_cannot_list_its_tests_fails(self):
        self.machine()
        self.put("build/bin/runtime_tests", "#!/bin/bash\nexit 127\n")
        report = self.report(2)
        self.assertEqual(self.results(report)["gpu tests"], "failed")
        self.assertEqual(report["stages"][1]["note"], "`runtime_tests` cannot list its tests")

    def test_nothing_of_an_earlier_run_stays(self):
        self.machine()
        old = [self.put(f"report/{name}", "old")
               for name in ("torch-eager-tf32-128.log", "plans/netc-old-64/plan.json")]
        self.report(0)
        for path in old:
            self.assertFalse(path.exists(), path)

    def test_a_sanitizer_that_cannot_run_is_skipped_in_words(self):
        self.machine()
        self.put("path/compute-sanitizer", "#!/bin/bash\necho Device not supported\nexit 1\n")
        report = self.report(0)
        self.assertEqual(self.results(report)["racecheck"], "skipped")
        self.assertIn("does not support", report["stages"][3]["note"])

    def test_time_ends_what_hangs(self):
        self.machine(slow="exec sleep 60")
        report = self.report(2, "--seconds", "14")
        self.assertLess(report["seconds"], 14)
        self.assertEqual(self.results(report)["train alexnet"], "failed")
        self.assertEqual(report["stages"][4]["note"], "stopped: its time was over")

    def test_the_time_of_the_benchmark_is_kept(self):
        self.machine(bench="exec sleep 60")
        report = self.report(2, "--seconds", "24")
        self.assertLess(report["seconds"], 24)
        self.assertIn("there was no time", report["stages"][-1]["note"])


class Bench(unittest.TestCase):
    """bench_torch.py with a netc and a PyTorch that are stand-ins."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "torch_worker.py").write_text(WORKER, encoding="utf-8")
        (self.folder / "netc").write_text(NETC.replace("BENCH", "").replace("SLOW", ""),
                                          encoding="utf-8")
        (self.folder / "netc").chmod(0o755)

    def measure(self, *arguments):
        """(the run of tf32 in batches of 128, bench.md)"""
        out = self.folder / "out"
        command = ["bench_torch.py", str(self.folder / "netc"), "-o", str(out), "--precisions",
                   "tf32", "--batches", "128", *arguments]
        with mock.patch.object(sys, "argv", command), mock.patch.dict(os.environ), \
                mock.patch.object(bench_programs, "HERE", self.folder), \
                mock.patch("importlib.util.find_spec"), \
                contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            bench_torch.main()
        report = json.loads((out / "bench.json").read_text(encoding="utf-8"))
        return report["runs"][0], (out / "bench.md").read_text(encoding="utf-8")

    def test_a_worker_that_fails_or_hangs_is_left_out_in_words(self):
        run, text = self.measure("--no-tune", "--seconds", "6")
        self.assertEqual(set(run["programs"]), {"netc", "PyTorch as shipped"})
        shipped = run["programs"]["PyTorch as shipped"]
        self.assertEqual(shipped["blocks_ms"], [1.9] * 7)
        self.assertAlmostEqual(shipped["times_netc"], 0.5)
        self.assertEqual(run["left_out"]["PyTorch compiled"], "ended: no such GPU")
        self.assertIn("no answer within", run["left_out"]["PyTorch compiled, fused LRN"])
        self.assertIn("PyTorch 2.11, cuDNN 91900, torch.compile: its default mode", text)
        self.assertIn("| tf32 | 128 | PyTorch as shipped | 1.900 |", text)

    def test_what_measures_as_it_compiles_does_so_alone(self):
        run, text = self.measure("--autotune", "max", "--seconds", "6", "--blocks", "3")
        self.assertEqual(set(run["programs"]), {"netc", "netc tuned", "PyTorch as shipped"})
        self.assertIn("torch.compile: max-autotune", text)

    def test_blocks_wait_for_the_file(self):
        quiet = self.folder / "quiet"
        with mock.patch("time.sleep", lambda seconds: quiet.touch()) as _:
            run, _ = self.measure("--no-tune", "--seconds", "6", "--after", str(quiet))
        self.assertTrue(quiet.exists())
        self.assertEqual(len(run["programs"]["netc"]["blocks_ms"]), 7)


class Floors(unittest.TestCase):
    def test_the_step(self):
        for batch, precision, milliseconds in ((128, "fp32", 8.42), (128, "tf32", 1.90),
                                               (128, "bf16", 1.10), (256, "tf32", 3.40),
                                               (256, "bf16", 1.86), (256, "fp32", 16.55)):
            self.assertAlmostEqual(floors.step_floor(batch, precision), milliseconds, delta=0.012)

    def test_the_multiply_adds_and_parameters_are_the_models(self):
        head = (ROOT / "models/alexnet.yaml").read_text(encoding="utf-8")
        macs = sum(layer[3] for layer in floors.LAYERS.values())
        self.assertIn(f"{floors.PARAMETERS:,} parameters, {macs:,} multiply-adds", head)


class Labels(unittest.TestCase):
    def test_the_floor_of_an_update_stands_where_it_is_done(self):
        run = bench_report.Run("tf32", 128)
        run.layers = [{"name": "fc7.weight.update.fused: linear_weight_gradient + sgd_update",
                       "ms": 0.2}, {"name": "update: sgd_update", "ms": 0.1}]
        parts = {(part["part"], part["pass"]): part for part in run.parts()}
        plain = floors.floors(128, "tf32")
        update = 20 * 4096 * 4096 / 4.3e12 * 1e3
        for layer, floor in (("fc7", plain["fc7", "weight gradient"] + update),
                             ("update", plain["update", "weight gradient"] - update),
                             ("fc6", plain["fc6", "weight gradient"])):
            self.assertAlmostEqual(parts[layer, "weight gradient"]["floor_ms"], floor)
        self.assertAlmostEqual(sum(part["floor_ms"] for part in parts.values()),
                               floors.step_floor(128, "tf32"))

    def test_launches_belong_to_layers(self):
        for label, part in {
                "relu1.fused: conv2d + bias + relu": ("conv1", "forward"),
                "drop6.fused: linear + bias + relu + dropout": ("fc6", "forward"),
                "relu6.grad.fused: linear_data_gradient + dropout": ("fc7", "data gradient"),
                "relu4.grad.fused: conv2d_data_gradient + relu_grad": ("conv5", "data gradient"),
                "conv3.data_grad: conv2d_data_gradient": ("conv3", "data gradient"),
                "conv1.weight_grad: conv2d_weight_gradient": ("conv1", "weight gradient"),
                "pool1.fused: lrn + max_pool2d": ("pools", "forward"),
                "relu2.grad.fused: max_pool2d_grad + lrn_grad": ("pools", "data gradient"),
                "update: sgd_update + sgd_update": ("update", "weight gradient"),
                "data: input_image": ("input", "forward"),
                "fc6.add_bias.bias_grad: channel_sum": ("biases", "weight gradient"),
                "loss: softmax_cross_entropy": ("others", "")}.items():
            self.assertEqual(bench_report.part_of(label), part, label)


if __name__ == "__main__":
    unittest.main()
