#!/usr/bin/env python3
"""Runs the shared scripts of public bug reports: run_cases.py PROGRAM CHECKOUT [NAME...].

Each exits with 1 while its fault is there. Prints what those say; exits with 1 when there is one.
"""
import concurrent.futures
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile


def interpreter(checkout):
    """A Python with pyarrow, which one of the scripts needs: the one that scripts/setup fills, or this one."""
    venv = checkout / ".venv/bin/python"
    return str(venv) if importlib.util.find_spec("pyarrow") is None and venv.exists() else sys.executable


def run(script, program, python):
    """What the script says when it finds its fault, else nothing."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([python, script], capture_output=True, text=True, check=False,
                              env=dict(os.environ, SGPT_MI=program, CASE_WORK=folder))
    return "" if done.returncode == 0 else f"--- {script.name}\n{done.stdout}{done.stderr}"


def main():
    program, checkout = sys.argv[1], pathlib.Path(sys.argv[2])
    shared = pathlib.Path(os.environ.get("SGPT_MI_SHARED") or checkout.parent / "shared")
    scripts = sorted((shared / "cases").glob("c*.py"))
    if sys.argv[3:]:
        scripts = [script for script in scripts if script.name.startswith(tuple(sys.argv[3:]))]
    if not scripts:
        print(f"skipped: no scripts in {shared / 'cases'}")
        return 0
    python = interpreter(checkout)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [said for said in pool.map(lambda script: run(script, program, python), scripts) if said]
    print(*faults, f"{len(scripts) - len(faults)} of {len(scripts)} cases pass", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
