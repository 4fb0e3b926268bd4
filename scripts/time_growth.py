#!/usr/bin/env python3
"""Measures how time and memory grow with the columns of a layer, with samples and with blocks.

Three tables, each with exponents p of a x^p fitted by least squares to the logarithms: 1 is linear.
Columns: one layer of 256 rows by build/tests/bench/growth_bench, stage by stage. Samples and
blocks: build/sgpt-mi compress on random models in the shape of OPT-125M with fewer blocks, windows
of 512 tokens. Memory is the most that the process had, less what it has without work. Every point
is the fastest of --runs, in a process of its own.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

from random_models import opt_folder

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUICK_COLUMNS = (256, 512, 1024, 2048)
FULL_COLUMNS = QUICK_COLUMNS + (4096, 8192, 13824)


def measured(command, threads):
    """Standard output, and the peak memory in bytes, of one run; stops on failure."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, env=environment,
                              text=True) as process:
            text = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)  # its memory, not that of all children
            process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if process.returncode != 0:
            sys.exit(f"{' '.join(words)}\nfailed: {errors.read()}")
    return text, usage.ru_maxrss * 1024


def exponent(points, key):
    """p of the a x^p through the points' values of `key`, by least squares of the logarithms."""
    pairs = [(math.log(x), math.log(values[key])) for x, values in points if values[key] > 0]
    if len(pairs) < 2:
        return math.nan
    mean_x = sum(x for x, _ in pairs) / len(pairs)
    mean_y = sum(y for _, y in pairs) / len(pairs)
    return (sum((x - mean_x) * (y - mean_y) for x, y in pairs)
            / sum((x - mean_x) ** 2 for x, _ in pairs))


def print_table(title, name, points):
    """The points, and under every column its exponent: of all points, and of four or more without
    the lower half of them, where constant costs weigh less."""
    keys = list(points[0][1])
    print(f"\n{title}\n{name:>10}" + "".join(f"{key:>14}" for key in keys))
    for x, values in points:
        print(f"{x:10}" + "".join(f"{values[key]:14.3f}" for key in keys))
    fits = [("exponent", points)]
    if len(points) >= 4:
        fits.append(("upper half", points[len(points) // 2:]))
    for label, chosen in fits:
        print(f"{label:>10}" + "".join(f"{exponent(chosen, key):14.2f}" for key in keys), flush=True)


def fastest(runs):
    """Of every value the least, as the machine's other work only adds to it."""
    return {key: min(run[key] for run in runs) for key in runs[0]}


def layer_point(arguments, columns, idle):
    runs = []
    for _ in range(arguments.runs):
        text, _ = measured([arguments.layer_program, columns], arguments.threads)
        values = json.loads(text)
        peak = values.pop("peak_bytes")
        runs.append({f"{key}, s": value for key, value in values.items()}
                    | {"memory, MB": max(0, peak - idle) / 1e6})
    return fastest(runs)


def model_point(arguments, model, windows, idle):
    runs = []
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "report.json"
            _, peak = measured([arguments.program, "compress", model, "c4", "--method", "sparsegpt",
                                "--sparsity", "0.5", "--wbits", "4", "--nsamples", windows, "--seqlen", 512, "--eval", "none",
                                "--device", "cpu", "--dtype", "float32", "--quiet", "--report",
                                report], arguments.threads)
            times = json.loads(report.read_text(encoding="utf-8"))["timings"]
        runs.append({f"{key}, s": times[key] for key in
                     ("calibrate", "factor", "obs", "propagate", "compress")}
                    | {"memory, MB": max(0, peak - idle) / 1e6})
    return fastest(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--full", action="store_true",
                        help=f"columns to {FULL_COLUMNS[-1]} (needs 6 GB and several minutes), "
                        "samples to 32, blocks to 8; else to a quarter of that or so")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "sgpt-mi")
    parser.add_argument("--layer-program", type=pathlib.Path,
                        default=ROOT / "build" / "tests" / "bench" / "growth_bench")
    arguments = parser.parse_args()
    _, idle = measured([arguments.layer_program, 1, 1], arguments.threads)
    columns = FULL_COLUMNS if arguments.full else QUICK_COLUMNS
    print_table("One layer of 256 rows, 1,024 tokens: seconds against its columns N", "N",
                [(n, layer_point(arguments, n, idle)) for n in columns])
    windows = (4, 8, 16, 32) if arguments.full else (2, 4, 8)
    blocks = (1, 2, 4, 8) if arguments.full else (1, 2, 4)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        model = opt_folder(folder / "2", "opt-125m", 2)
        print_table("Two blocks of 768 channels: seconds against windows of 512 tokens", "windows",
                    [(n, model_point(arguments, model, n, idle)) for n in windows])
        print_table("768 channels, 4 windows of 512 tokens: seconds against blocks", "blocks",
                    [(n, model_point(arguments, opt_folder(folder / str(n), "opt-125m", n), 4, idle))
                     for n in blocks])


if __name__ == "__main__":
    main()
