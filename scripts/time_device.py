#!/usr/bin/env python3
"""Times sgpt-mi compress on a GPU: random weights in the shapes of LLaMA-7B and Vicuna-13B.

16 and 128 samples of 2,048 random tokens, 50 % and 4 bits, methods sparsegpt, mi and rd, nothing
evaluated. For every run a line: seconds beside the target that the project has set itself, and the
most device memory that nvidia-smi saw beside the plan's; and a line for the walk and for the
compression of matrices: seconds, the floor (counted operations over the card's measured rate of
products) and the share of the floor's rate that was reached, with the stages. With --reference also
the published SparseGPT script on the 7B shape, 16 samples, beside sparsegpt (needs transformers and
safetensors in this Python, 14 GB of disk in --folder). Called by scripts/benchmark --device cuda and
by scripts/gpu_check.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

from random_models import SHAPES, write_windows

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Seconds for (model, method, samples) on one H100 or H200.
TARGETS = {("vicuna-13b", "sparsegpt", 16): 60, ("vicuna-13b", "mi", 16): 60,
           ("vicuna-13b", "sparsegpt", 128): 150, ("vicuna-13b", "mi", 128): 150,
           ("vicuna-13b", "rd", 16): 180, ("vicuna-13b", "rd", 128): 400,
           ("llama-7b", "mi", 128): 120}
VOCABULARY = 32000  # of llama-7b
# Stages by what their operations are counted as; those of no part are shown with the total alone.
PARTS = {"walk": (("forward", "H"), "product_float16",
                  ("load", "calibrate", "propagate", "dense_stream", "fisher")),
         "matrices": (("OBS",), "product_float32",
                      ("factor", "drift", "obs", "curves", "plan_check"))}


class DevicePeak:
    """The most bytes in use on the first visible GPU while the context is open, by all of its processes, asked for
    five times a second; None where nvidia-smi does not tell."""

    def __init__(self):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
        self.query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", f"--id={visible}"]
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._ended.wait(0.2):
            shown = subprocess.run(self.query, capture_output=True, text=True, check=False).stdout.strip()
            if not shown.isdigit():
                self.bytes = None
                return
            self.bytes = max(self.bytes, int(shown) * 2**20)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._ended.set()
        self._thread.join()


def measured_rates(program):
    """Operations a second of this card's products, by the names that roofline_bench gives them."""
    run = subprocess.run([program, "cuda", "--benchmark_filter=^tail/768/", "--benchmark_format=json"],
                         capture_output=True, text=True, check=True)
    context = json.loads(run.stdout)["context"]
    return {name: 1e9 * float(value.split()[0]) for name, value in context.items()
            if name.startswith("product_")}


def compress(arguments, model, method, samples):
    """The report of one run and its device memory; nothing, with its message, when it failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        # A random model reads random token ids whatever the data set.
        command = [arguments.program, "compress", f"random:{model}", "c4", "--method", method,
                   "--sparsity", "0.5", "--wbits", "4", "--nsamples", samples, "--seqlen",
                   arguments.seqlen, "--eval", "none", "--device", "cuda", "--report", report,
                   "--quiet", *(["--max_memory", arguments.max_memory] if arguments.max_memory else [])]
        with DevicePeak() as peak:
            run = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                 check=False)
        if run.returncode != 0:
            return None, (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]
        return json.loads(report.read_text(encoding="utf-8")), peak.bytes


def stages_of(times, names):
    """Seconds of these stages in all, and each with what it consists of ("obs_sweep" of "obs")."""
    parts = {stage: seconds for stage, seconds in times.items()
             if any(stage == name or stage.startswith(name + "_") for name in names)}
    return sum(times.get(name, 0.0) for name in names), parts


def part_line(part, report, rates):
    """Seconds, floor and share of one part."""
    counted, rate, names = PARTS[part]
    seconds, stages = stages_of(report["timings"], names)
    floor = sum(report["operations"][name] for name in counted) / rates[rate]
    shown = "  ".join(f"{name} {value:.1f}" for name, value in stages.items() if value >= 0.05)
    share = f"{floor / seconds:8.0%}" if seconds else f"{'-':>8}"
    return f"  {part:12}{seconds:8.1f}{floor:8.1f}{share}  {shown}"


def run_line(model, method, samples, report, peak):
    """Seconds and memory of one run, beside what was asked and planned."""
    target = TARGETS.get((model, method, samples), "-")
    planned = report["peak_bytes"]["planned"]["device"]
    seen = f"{'-':>10}" if peak is None else f"{peak / 1e9:10.1f}"
    share = f"{'-':>8}" if peak is None else f"{peak / planned:8.0%}"
    return (f"{model:14}{method:11}{samples:8}{report['timings']['total']:10.1f}{target:>8}{seen}"
            f"{planned / 1e9:10.1f}{share}")


def reference_seconds(arguments):
    """Seconds of the published script's compression of the 7B shape, 16 samples."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        model, windows = pathlib.Path(folder) / "model", pathlib.Path(folder) / "windows.safetensors"
        subprocess.run([arguments.program, "export", "random:llama-7b", "-o", model], check=True)
        write_windows(windows, VOCABULARY, 16, arguments.seqlen)
        command = [sys.executable, ROOT / "scripts" / "time_reference.py", arguments.reference, "--device",
                   "cuda", "--model", model, "--windows", windows, "--sparsity", "0.5", "--wbits", "4"]
        return float(subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                    check=True).stdout)


def main():
    """All runs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["llama-7b", "vicuna-13b"])
    parser.add_argument("--methods", nargs="+", default=["sparsegpt", "mi", "rd"])
    parser.add_argument("--samples", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--seqlen", type=int, default=2048)
    parser.add_argument("--max_memory", metavar="SIZE", help="of the compress flag of that name")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="folder with sgpt-mi and tests/bench/roofline_bench")
    parser.add_argument("--reference", type=pathlib.Path, metavar="DIR",
                        help="a checkout of the published SparseGPT script, to be run as well")
    parser.add_argument("--folder", type=pathlib.Path, help="for the model that --reference reads")
    arguments = parser.parse_args()
    arguments.program = arguments.build / "sgpt-mi"
    rates = measured_rates(arguments.build / "tests" / "bench" / "roofline_bench")
    print("products of this card:", ", ".join(f"{name.removeprefix('product_')} {rate / 1e12:.0f} "
                                              "Tflop/s" for name, rate in sorted(rates.items())))
    print(f"\n{'model':14}{'method':11}{'samples':>8}{'total, s':>10}{'target':>8}{'GB':>10}"
          f"{'planned':>10}{'share':>8}\n  {'part':12}{'s':>8}{'floor':>8}{'share':>8}  stages, s")
    failed = False
    for model in arguments.models:
        for samples in arguments.samples:
            for method in arguments.methods:
                report, found = compress(arguments, model, method, samples)
                if report is None:
                    failed = True
                    print(f"{model:14}{method:11}{samples:8}{'failed':>10}  {found}", flush=True)
                    continue
                print(run_line(model, method, samples, report, found))
                print("\n".join(part_line(part, report, rates) for part in PARTS), flush=True)
    if arguments.reference:
        print(f"{'llama-7b':14}{'published':11}{16:8}{reference_seconds(arguments):10.1f}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
