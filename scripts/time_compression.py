#!/usr/bin/env python3
"""Times build/sgpt-mi compress beside the published SparseGPT script: whole compressions.

Called by scripts/benchmark. Prints one line for each model, configuration and number of threads:
the fastest of a few runs of ours, the reference's seconds, and how many times ours fits into them.
Models are the small recorded ones, with their recorded configurations, and a random one in the
shape of OPT-125M (--random), 50 % with and without 4 bits. With --reference the original script
runs here, in turn with ours, and its fastest run counts; without it the recorded seconds stand in,
and there are none of the random model.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from random_models import OPT_VOCABULARY, write_windows

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ("tinystories-656k", "opt-3m")
RECORDED = {1: "compress_seconds_1_thread", 2: "compress_seconds_2_threads"}
STAGE = "compress"  # of the report's timings: everything between loading and evaluation


def flags(settings):
    """The flags of `sgpt-mi compress` for the settings of one recorded configuration."""
    chosen = ["--blocksize", settings["blocksize"], "--wbits", settings["wbits"]]
    if settings["prunem"]:
        chosen += ["--prunen", settings["prunen"], "--prunem", settings["prunem"]]
    else:
        chosen += ["--sparsity", settings["sparsity"]]
    if settings["true_sequential"]:
        chosen += ["--true_sequential"]
    return [str(flag) for flag in chosen]


def output_of(command, threads):
    """What the command prints, on so many threads; stops this program when the command fails."""
    command = [str(word) for word in command]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with {run.returncode}:\n{run.stderr}")
    return run.stdout


class Case:
    """One compression to time: a model with its calibration windows, and settings."""

    def __init__(self, name, model, windows, shape, settings, recorded=None):
        self.name, self.model, self.windows, self.shape = name, model, windows, shape
        self.settings, self.recorded = settings, recorded or {}

    def our_seconds(self, program, threads):
        """Seconds of the compression stage of one run of ours."""
        count, seqlen = self.shape
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "report.json"
            output_of([program, "compress", self.model, self.windows, "--method", "sparsegpt",
                       "--nsamples", count, "--seqlen", seqlen, "--eval", "none", "--device", "cpu",
                       "--dtype", "float32", "--threads", threads, "--report", report, "--quiet",
                       *flags(self.settings)], threads)
            return json.loads(report.read_text(encoding="utf-8"))["timings"][STAGE]

    def reference_seconds(self, python, reference, threads):
        """Seconds of one run of the original script with the same windows and settings."""
        command = [python, ROOT / "scripts" / "time_reference.py", reference, "--model", self.model,
                   "--windows", self.windows, "--threads", threads, *flags(self.settings)]
        return float(output_of(command, threads))


def recorded_cases(shared, wanted):
    """The recorded configurations of the small models."""
    for model in MODELS:
        golden = shared / "golden" / "sparsegpt" / model
        results = json.loads((golden / "results.json").read_text(encoding="utf-8"))["configs"]
        for name in wanted or results:
            seconds = {threads: results[name][key] for threads, key in RECORDED.items()}
            yield Case(f"{model} {name}", shared / "models" / model,
                       golden / "calibration.safetensors", (32, 512), results[name]["settings"],
                       seconds)


def random_cases(program, folder, windows):
    """Random weights in OPT-125M's shape, written into the folder unless they are there already."""
    model = folder / "random-opt-125m"
    if not model.exists():
        output_of([program, "export", "random:opt-125m", "-o", model], 1)
    ids = folder / f"windows-{windows}.safetensors"
    write_windows(ids, OPT_VOCABULARY, windows, 512)
    for name, bits in (("s50", 16), ("s50_w4", 4)):
        settings = {"blocksize": 128, "wbits": bits, "prunen": 0, "prunem": 0, "sparsity": 0.5,
                    "true_sequential": False}
        yield Case(f"random-opt-125m {name}", model, ids, (windows, 512), settings)


def compare(arguments, case, threads):
    """Our seconds and the reference's: the fastest of runs taken in turn, or the recorded ones."""
    ours, reference = [], []
    for _ in range(arguments.runs):
        ours.append(case.our_seconds(arguments.program, threads))
        if arguments.reference:
            reference.append(case.reference_seconds(arguments.python, arguments.reference, threads))
    return min(ours), min(reference, default=case.recorded.get(threads))


def print_table(arguments, cases):
    print(f"\n{'model and configuration':28}{'threads':>8}{'ours, s':>10}{'reference, s':>14}"
          f"{'ref./ours':>11}")
    for case in cases:
        for threads in arguments.threads:
            ours, reference = compare(arguments, case, threads)
            beside = f"{reference:14.2f}{reference / ours:11.2f}" if reference else f"{'-':>14}"
            print(f"{case.name:28}{threads:8}{ours:10.3f}{beside}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shared", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "sgpt-mi")
    parser.add_argument("--reference", type=pathlib.Path, metavar="DIR",
                        help="a checkout of the published SparseGPT script, to be run as well")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / ".venv" / "bin" / "python",
                        help="a Python with torch, transformers and safetensors, for --reference")
    parser.add_argument("--configurations", nargs="+", metavar="NAME", help="only these, e.g. s50")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted(RECORDED))
    parser.add_argument("--random", type=int, metavar="WINDOWS", default=0,
                        help="also a random model in the shape of OPT-125M, with so many windows of "
                        "512 tokens")
    parser.add_argument("--folder", type=pathlib.Path,
                        help="where the random model (250 MB) is kept; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cases = list(recorded_cases(arguments.shared, arguments.configurations))
        if arguments.random:
            cases += random_cases(arguments.program, arguments.folder or pathlib.Path(temporary),
                                  arguments.random)
        print_table(arguments, cases)


if __name__ == "__main__":
    main()
