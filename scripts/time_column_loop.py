#!/usr/bin/env python3
"""Times the OBS column loop of one square layer beside the published SparseGPT script's.

DIR is a checkout of that script. Its SparseGPT.fasterprune runs on a linear of N x N normal weights
with an H of the same kind as the benchmark's; the time of its two Cholesky factorisations and its
inverse is taken off. Ours is the benchmark layer_sweep of build/tests/bench/roofline_bench: masks,
column loop and tail updates. Both run in turn, on the same threads, and the fastest run of each
counts. Needs the Python packages torch and transformers. Called by scripts/benchmark --reference.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent


class FactorClock:
    """Seconds spent in the calls that turn H into U."""

    def __init__(self):
        self.seconds = 0.0
        torch.linalg.cholesky = self.timed(torch.linalg.cholesky)
        torch.cholesky_inverse = self.timed(torch.cholesky_inverse)

    def timed(self, function):
        def call(*positional, **named):
            began = time.perf_counter()
            result = function(*positional, **named)
            self.seconds += time.perf_counter() - began
            return result
        return call


def reference_seconds(clock, columns, bits, hessian, weight):
    """Seconds of one column loop of the script."""
    import quant  # pylint: disable=import-outside-toplevel,import-error
    import sparsegpt  # pylint: disable=import-outside-toplevel,import-error
    layer = torch.nn.Linear(columns, columns, bias=False)
    layer.weight.data = weight.clone()
    pruner = sparsegpt.SparseGPT(layer)
    pruner.H = hessian.clone()
    if bits < 16:
        pruner.quantizer = quant.Quantizer()
        pruner.quantizer.configure(bits, perchannel=True, sym=False, mse=False)
    clock.seconds = 0.0
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        pruner.fasterprune(0.5)
    return time.perf_counter() - began - clock.seconds


def our_seconds(program, columns, bits, threads):
    """Seconds of one sweep of ours."""
    kind = "prune_only" if bits == 16 else "joint"
    command = [program, f"--benchmark_filter=^layer_sweep/{kind}/{columns}/real_time$",
               "--benchmark_format=json"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    text = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    return json.loads(text)["benchmarks"][0]["real_time"] / 1e3  # milliseconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("reference", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--program", type=pathlib.Path,
                        default=ROOT / "build" / "tests" / "bench" / "roofline_bench")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--columns", type=int, nargs="+", default=[768, 3072])
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.reference.resolve()))
    torch.cuda.synchronize = lambda *_: None
    clock = FactorClock()
    print(f"\nOBS column loop of N x N weights, 50 %\n{'N':>8}{'code bits':>11}{'threads':>9}"
          f"{'ours, s':>10}{'reference, s':>14}{'ref./ours':>11}")
    for columns in arguments.columns:
        torch.manual_seed(0)
        x = torch.randn(2 * columns, columns) @ torch.randn(columns, columns)
        hessian, weight = x.t() @ x / (2 * columns), torch.randn(columns, columns)
        for bits in (16, 4):
            for threads in arguments.threads:
                torch.set_num_threads(threads)
                ours, reference = [], []
                for _ in range(arguments.runs):
                    ours.append(our_seconds(arguments.program, columns, bits, threads))
                    reference.append(reference_seconds(clock, columns, bits, hessian, weight))
                print(f"{columns:8}{bits:11}{threads:9}{min(ours):10.3f}{min(reference):14.3f}"
                      f"{min(reference) / min(ours):11.1f}", flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
