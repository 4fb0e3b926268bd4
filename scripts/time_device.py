#!/usr/bin/env python3
"""Times build/sgpt-mi compress on a GPU: random weights in the shapes of LLaMA-7B and Vicuna-13B.

16 and 128 samples of 2,048 random tokens, 50 % and 4 bits, methods sparsegpt, mi and rd; seconds
by stage from the report's timings, beside the targets that the project has set itself. Nothing is
evaluated. Called by scripts/benchmark --device cuda.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from random_models import SHAPES

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Seconds for (model, method, samples) on one H200.
TARGETS = {("vicuna-13b", "sparsegpt", 16): 60, ("vicuna-13b", "mi", 16): 60,
           ("vicuna-13b", "sparsegpt", 128): 150, ("vicuna-13b", "mi", 128): 150,
           ("vicuna-13b", "rd", 16): 180, ("vicuna-13b", "rd", 128): 400,
           ("llama-7b", "mi", 128): 120}


def compress(arguments, model, method, samples):
    """The report's timings of one run; nothing, with its message, when the run failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        # A random model reads random token ids whatever the data set.
        command = [arguments.program, "compress", f"random:{model}", "c4", "--method", method,
                   "--sparsity", "0.5", "--wbits", "4", "--nsamples", samples, "--seqlen",
                   arguments.seqlen, "--eval", "none", "--device", "cuda", "--report", report,
                   "--quiet"]
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                             check=False)
        if run.returncode != 0:
            return None, run.stderr.strip().splitlines()[-1:] or [f"exit code {run.returncode}"]
        return json.loads(report.read_text(encoding="utf-8"))["timings"], []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", choices=SHAPES,
                        default=["llama-7b", "vicuna-13b"])
    parser.add_argument("--methods", nargs="+", default=["sparsegpt", "mi", "rd"])
    parser.add_argument("--samples", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--seqlen", type=int, default=2048)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "sgpt-mi")
    arguments = parser.parse_args()
    failed = False
    print(f"\n{'model':14}{'method':11}{'samples':>8}{'total, s':>10}{'target':>8}  stages, s")
    for model in arguments.models:
        for samples in arguments.samples:
            for method in arguments.methods:
                times, message = compress(arguments, model, method, samples)
                failed = failed or times is None
                if times is None:
                    print(f"{model:14}{method:11}{samples:8}{'failed':>10}  {message[0]}",
                          flush=True)
                    continue
                target = TARGETS.get((model, method, samples), "-")
                stages = "  ".join(f"{name} {value:.1f}" for name, value in times.items()
                                   if name not in ("total", "compress") and value >= 0.05)
                print(f"{model:14}{method:11}{samples:8}{times['total']:10.1f}{target:>8}  {stages}",
                      flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
