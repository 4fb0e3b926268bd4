#!/usr/bin/env python3
"""Kills small compressions of every method and format, and makes their calls fail, one after the other.

    torture.py PROGRAM FAULTS [--part PART] [--runs N] [--seed S]     N cases of each part
    torture.py PROGRAM FAULTS --case NAME                             one of them again
    torture.py PROGRAM FAULTS --readers FOLDER --inputs N             and N inputs of each reader in the folder's
                                                                      NAME_mutations (tests/fuzz, with make_seeds)

PROGRAM is sgpt-mi, FAULTS the library of tests/faults. A case fails unless it ends with one sentence and the right
exit code, leaves an older result as it was and nothing else beside it but NAME.partial, and goes on from there to the
bytes of an undisturbed run. Parts: writes (a full disk, an error, a short write), reads (an error, a file cut), allocs
(blocks of at least 1 MiB), kills (SIGKILL before a write, in the middle of one, at any moment; also of the run that
resumes), ranks (of two or three that mpirun starts, one is killed or reads what fails), inputs (bytes of models, texts,
measurements and of unfinished results are changed). Prints a table, and for
every failure the command that repeats it.
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from case import KINDS, Bench
from launch import MPIRUN, Broken
from settings import COMPRESSIONS, RANKS, SETTINGS, WRITERS

ACTIONS = {"writes": ("write", ("ENOSPC+", "EIO", "short")), "reads": ("read", ("EIO", "cut")),
           "allocs": ("alloc", ("ENOMEM", "ENOMEM+"))}
SKIPPED = 77  # as ctest is told
PARTS = (*ACTIONS, "kills", "ranks", "inputs")
TITLES = {"writes": "failed writes", "reads": "failed reads", "allocs": "failed allocations", "kills": "kills survived",
          "ranks": "ranks of several", "inputs": "changed inputs", "readers": "inputs of readers"}


def settings_of(part, runs, stream):
    """The settings that `runs` cases are taken from: a few when there are few, because each needs a run of its own."""
    names = {"writes": WRITERS, "kills": COMPRESSIONS, "ranks": RANKS}.get(part, list(SETTINGS))
    return stream.sample(names, min(len(names), max(3, runs // 8)))


def spread(count, wanted, stream):
    """Up to `wanted` of the places 1 to `count`, in every part of the range."""
    if wanted >= count:
        return list(range(1, count + 1))
    return [1 + int((index + stream.random()) * count / wanted) for index in range(wanted)]


def faults_of(bench, name, part, wanted, stream):
    """Cases of one setting: about `wanted` of them."""
    if part == "kills":
        writes = bench.reference(name)[1].calls["write"]
        places = spread(writes, wanted, stream)
        for index, place in enumerate(places):
            first = f"write:{place}:{'tear' if index % 3 == 1 else 'kill'}"
            if index % 3 == 2:
                first = f"time:{(index + stream.random()) / len(places):.3f}"
            again = f",time:{stream.random():.3f}" if index % 4 == 3 else ""
            yield f"{name}/{first}{again}"
        return
    if part == "ranks":
        reads = bench.reference(name)[1].calls["read"]
        for index in range(wanted):
            number = 2 + index % 2
            bench.seconds_of(name, number)
            chosen = stream.randrange(number)
            fault = f"read:{stream.randint(1, reads)}:EIO" if index % 4 == 3 else f"time:{stream.random():.3f}"
            yield f"{name}/ranks:{number}:{chosen}:{fault}"
        return
    if part == "inputs":
        for index in range(wanted):
            yield f"{name}/{input_fault(bench, name, index, stream)}"
        return
    kind, actions = ACTIONS[part]
    count = bench.reference(name)[1].calls[kind]
    for action in actions:
        for place in spread(count, -(-wanted // len(actions)), stream):
            yield f"{name}/{kind}:{place}:{action}"


def input_fault(bench, name, index, stream):
    """A change of the model, the text, or of what a killed compression left."""
    seed = stream.randrange(1 << 30)
    if SETTINGS[name].arguments[0] == "compress":
        writes = bench.reference(name)[1].calls["write"]
        return f"write:{stream.randint(1, writes)}:kill,input:partial:{seed}"
    if name == "plan":
        return f"input:in/measured.json:{seed}"
    return f"input:{'in/text' if index % 4 == 3 else 'in/model'}:{seed}"


def cases_of(bench, part, runs, seed):
    stream = random.Random(f"{seed} {part}")
    names = settings_of(part, runs, stream)
    cases = [case for name in names for case in faults_of(bench, name, part, -(-runs // len(names)), stream)]
    return stream.sample(cases, min(runs, len(cases)))


class Results:
    """What became of the cases, counted as they end."""

    def __init__(self):
        self.rows = {part: {"tried": 0, "took effect": 0, "failed": 0} for part in TITLES}
        self.failures = []
        self.lock = threading.Lock()

    def add(self, part, effective, failure="", tried=1):
        with self.lock:
            self.rows[part]["tried"] += tried
            self.rows[part]["took effect"] += effective
            if failure:
                self.rows[part]["failed"] += 1
                self.failures.append(failure)
                print(failure, flush=True)

    def print_table(self):
        print(f"\n{'':<20}{'runs':>8}{'faults':>8}{'broken':>8}")
        for part, row in self.rows.items():
            if row["tried"]:
                print(f"{TITLES[part]:<20}" + "".join(f"{value:>8}" for value in row.values()))


def run_case(bench, part, case, results, repeat):
    try:
        results.add(part, bench.check(case))
    except Broken as broken:
        results.add(part, 0, f"{case}: {broken}\n    repeat: {repeat} --case '{case}'")


def run_reader(program, seeds, inputs, seed, results):
    """Changed seeds for one reader, in its own process, up to the first at which it ends."""
    words = [str(program), "--seeds", str(seeds), "--seed", str(seed)]
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # one that the bounds see
    run = subprocess.run([*words, "--runs", str(inputs)], capture_output=True, text=True, errors="replace",
                         check=False, env=environment)
    if run.returncode == 0:
        results.add("readers", inputs, tried=inputs)
        return
    index = re.search(r"--only ([0-9]+)", run.stderr)
    results.add("readers", 0, f"{program.name}: {run.stderr[-3000:]}\n    repeat: {' '.join(words)} --only "
                              f"{index[1] if index else '?'}")


def run_readers(folder, seeds, inputs, seed, pool, results):
    subprocess.run([str(folder / "make_seeds"), str(seeds)], check=True)
    programs = sorted(folder.glob("*_mutations"))
    return [pool.submit(run_reader, program, seeds / program.name.removesuffix("_mutations"), inputs, seed, results)
            for program in programs]


def part_of(case):
    kind = case.partition("/")[2].partition(":")[0]
    if "input:" in case:
        return "inputs"
    if kind == "ranks":
        return "ranks"
    if kind == "time" or "kill" in case or "tear" in case:
        return "kills"
    return PARTS[KINDS.index(kind)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("faults", type=pathlib.Path)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--readers", type=pathlib.Path)
    parser.add_argument("--inputs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--case", action="append")
    parser.add_argument("--keep", action="store_true", help="keep the folders of failed cases")
    options = parser.parse_args()
    repeat = f"{sys.argv[0]} {options.program} {options.faults} --keep"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sgpt-mi-torture-"))
    results = Results()
    try:
        bench = Bench(options.program.resolve(), options.faults.resolve(), folder)
        if options.case:
            cases = [(part_of(case), case) for case in options.case]
        else:
            parts = options.part or PARTS
            if "ranks" in parts and (b"libmpi.so" not in options.program.read_bytes() or
                                     shutil.which(MPIRUN[0]) is None):
                print("ranks: skipped, there is no mpirun, or the program was built without MPI")
                parts = [part for part in parts if part != "ranks"]
            cases = [(part, case) for part in parts
                     for case in cases_of(bench, part, options.runs, options.seed)]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            waiting = [pool.submit(run_case, bench, part, case, results, repeat) for part, case in cases]
            if options.readers:
                seeds = folder / "seeds"
                waiting += run_readers(options.readers, seeds, options.inputs, options.seed, pool, results)
            for done in waiting:
                done.result()
    finally:
        if not (options.keep and results.failures):
            shutil.rmtree(folder)
    if not cases:
        return SKIPPED
    results.print_table()
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
