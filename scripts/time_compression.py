#!/usr/bin/env python3
"""Times build/sgpt-mi compress on the recorded SparseGPT configurations, beside the recorded times.

Called by scripts/benchmark. Prints one line for each model, configuration and number of threads:
the fastest of a few runs of ours, the reference's recorded seconds, and their quotient.
"""

import argparse
import json
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


def compress_seconds(shared, model, settings, threads):
    """Seconds of the compression stage of one run; stops the program when the run fails."""
    golden = shared / "golden" / "sparsegpt" / model
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [ROOT / "build" / "sgpt-mi", "compress", shared / "models" / model,
                   golden / "calibration.safetensors", "--method", "sparsegpt",
                   "--nsamples", "32", "--seqlen", "512", "--eval", "none", "--device", "cpu",
                   "--dtype", "float32", "--threads", threads, "--report", report, "--quiet",
                   *flags(settings)]
        command = [str(word) for word in command]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)}\nfailed with {run.returncode}:\n{run.stderr}")
        return json.loads(report.read_text(encoding="utf-8"))["timings"][STAGE]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shared", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"\n{'model':18}{'configuration':15}{'threads':>8}{'ours, s':>10}{'reference, s':>14}"
          f"{'ours/ref.':>11}")
    for model in MODELS:
        results = arguments.shared / "golden" / "sparsegpt" / model / "results.json"
        configurations = json.loads(results.read_text(encoding="utf-8"))["configs"]
        for name, recorded in configurations.items():
            for threads, key in RECORDED.items():
                ours = min(compress_seconds(arguments.shared, model, recorded["settings"], threads)
                           for _ in range(arguments.runs))
                print(f"{model:18}{name:15}{threads:8}{ours:10.3f}{recorded[key]:14.2f}"
                      f"{ours / recorded[key]:11.2f}", flush=True)


if __name__ == "__main__":
    main()
