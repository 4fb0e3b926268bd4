#!/usr/bin/env python3
"""Times build/sgpt-mi compress on the recorded SparseGPT configurations, beside the original.

Called by scripts/benchmark. Prints one line for each model, configuration and number of threads:
the fastest of a few runs of ours, the reference's seconds, and their quotient. With --reference
the original script runs here, in turn with ours, and its fastest run counts; without it the
recorded seconds stand in.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

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


def our_seconds(program, shared, model, settings, threads):
    """Seconds of the compression stage of one run of ours."""
    golden = shared / "golden" / "sparsegpt" / model
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [program, "compress", shared / "models" / model,
                   golden / "calibration.safetensors", "--method", "sparsegpt",
                   "--nsamples", "32", "--seqlen", "512", "--eval", "none", "--device", "cpu",
                   "--dtype", "float32", "--threads", threads, "--report", report, "--quiet",
                   *flags(settings)]
        output_of(command, threads)
        return json.loads(report.read_text(encoding="utf-8"))["timings"][STAGE]


def reference_seconds(arguments, model, settings, threads):
    """Seconds of one run of the original script with the same windows and settings."""
    windows = arguments.shared / "golden" / "sparsegpt" / model / "calibration.safetensors"
    command = [arguments.python, ROOT / "scripts" / "time_reference.py", arguments.reference,
               "--model", arguments.shared / "models" / model, "--windows", windows,
               "--threads", threads, *flags(settings)]
    return float(output_of(command, threads))


def compare(arguments, model, recorded, threads):
    """Our seconds and the reference's: the fastest of runs taken in turn, or the recorded ones."""
    settings = recorded["settings"]
    ours, reference = [], []
    for _ in range(arguments.runs):
        ours.append(our_seconds(arguments.program, arguments.shared, model, settings, threads))
        if arguments.reference:
            reference.append(reference_seconds(arguments, model, settings, threads))
    return min(ours), min(reference, default=recorded[RECORDED[threads]])


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
    arguments = parser.parse_args()
    print(f"\n{'model':18}{'configuration':15}{'threads':>8}{'ours, s':>10}{'reference, s':>14}"
          f"{'ours/ref.':>11}")
    for model in MODELS:
        results = arguments.shared / "golden" / "sparsegpt" / model / "results.json"
        configurations = json.loads(results.read_text(encoding="utf-8"))["configs"]
        for name in arguments.configurations or configurations:
            for threads in RECORDED:
                ours, reference = compare(arguments, model, configurations[name], threads)
                print(f"{model:18}{name:15}{threads:8}{ours:10.3f}{reference:14.2f}"
                      f"{ours / reference:11.2f}", flush=True)


if __name__ == "__main__":
    main()
