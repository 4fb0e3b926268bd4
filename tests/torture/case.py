"""One run of the program that is made to fail, and what must hold afterwards.

A case is known by its name SETTING/FAULT[,FAULT...], by which it can be run again. FAULT is

    write:N:ACTION, read:N:ACTION, alloc:N:ACTION   as tests/faults takes them; N 0: no fault
    time:SHARE                                      SIGKILL after that share of an undisturbed run
    ranks:NUMBER:RANK:FAULT                         one of the above, of one of several ranks that mpirun starts
    input:WHERE:SEED                                a file of in/model, in/text or partial (the result to go on
                                                    with) is changed before the run, and no call fails

After a fault other than the last the result is resumed, with the next fault. What ranks left is gone on with by one
rank less.
"""

import hashlib
import json
import pathlib
import random
import re
import shutil
import signal
import struct
import threading

import launch
from launch import Broken, Ranks, require
from mutate import mutated
from settings import LEAST_MEMORY, SETTINGS, write_models

REPORT = "sgpt_mi.json"
KINDS = ("write", "read", "alloc")
TIME_LIMIT = 60.0  # seconds, a hundred times what the runs take
LEAST_BOUND = 64 << 20  # bytes that a run with a changed input may take beside the usual, and a byte of the input
BYTES_A_BYTE = 64
CODES = {"write": 3, "read": 3, "alloc": 5}
# MKL does without scratch memory by other sums, whose last digits differ, and near-equal choices with them. The fault
# library tells its calls by this word.
SCRATCH = "MKL"
NEAR = 0.25  # by how much errors of linears may differ then: the small models' own spread is a tenth of it
OLD_SHARD = "model-00001-of-00009.safetensors"  # of an older result alone: it goes with it
# What no sentence for a user holds: traces and names of a library's or the language's own.
TRACES = re.compile(r"terminate called|what\(\)|enforce fail|Exception raised|frame #|std::|bad_alloc|basic_|c10::|"
                    r"DefaultCPUAllocator|core dumped|Assertion")


def digest(path):
    """The bytes of a file; of a report without what differs from run to run."""
    data = path.read_bytes()
    if path.name == REPORT:
        data = json.dumps(_settled(json.loads(data)), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def _settled(value):
    """A report without timings, memory and how it was asked for."""
    if isinstance(value, dict):
        return {key: _settled(member) for key, member in value.items()
                if key not in ("command", "timings", "resume", "peak_bytes") and "seconds" not in key}
    return [_settled(member) for member in value] if isinstance(value, list) else value


def contents(path, read=digest):
    """{relative name: digest} of a file or of all in a folder; None where nothing is."""
    if path.is_file():
        return {"": read(path)}
    if not path.is_dir():
        return None
    return {str(each.relative_to(path)): read(each) for each in sorted(path.rglob("*")) if each.is_file()}


def exact(path):
    """As contents(), by every byte."""
    return contents(path, lambda each: hashlib.sha256(each.read_bytes()).hexdigest())


def _is_near(found, new):
    """Whether a folder is as good as another: the same linears, with errors like those that the other reports. A file
    reports none, and has to be the same."""
    if not (found / REPORT).exists():
        return False
    layers = [json.loads((each / REPORT).read_text(encoding="utf-8"))["layers"] for each in (found, new)]
    errors = [[layer["output_error"] for layer in each] for each in layers]
    return all(abs(mine - theirs) <= NEAR * theirs for mine, theirs in zip(*errors, strict=True))


def _is_temporary(name):
    """Whether a file has the name of one that is written and then renamed: what SIGKILL may leave."""
    return re.fullmatch(r"\..*\.[0-9]+\.tmp", pathlib.Path(name).name) is not None


def _is_complete(found, new, run):
    """Whether a result is the new one. That of a run that failed after it was put in its place lacks the last words
    of its report."""
    if run.code != 0 and found is not None and new is not None:
        found, new = dict(found), dict(new)
        found[REPORT] = new[REPORT] = found.get(REPORT)
        found = {name: value for name, value in found.items() if not _is_temporary(name)}
    return found == new


class Bench:
    """A program, the library that makes its calls fail, and a folder for models, results and cases."""

    def __init__(self, program, faults, folder):
        self.program, self.faults, self.folder = program, faults, folder
        self.references = {}
        self.rank_seconds = {}
        self.lock = threading.Lock()
        self.least_memory = {}
        write_models(folder / "models")

    # --- folders and runs ---------------------------------------------------------------------

    def source_of(self, setting):
        """The model of a setting: dense, or another setting's result."""
        if setting.of:
            return self.reference(setting.of)[0] / SETTINGS[setting.of].result
        return self.folder / "models" / setting.model

    def make_case(self, setting, folder):
        """A folder for the setting's command, with copies of its inputs."""
        source = self.source_of(setting)
        (folder / "saved").mkdir(parents=True)
        (folder / "in" / "scratch").mkdir(parents=True)
        if source.is_file():
            shutil.copy(source, folder / "in" / "model")
        else:
            shutil.copytree(source, folder / "in" / "model")
        shutil.copytree(self.folder / "models" / "text", folder / "in" / "text")
        if setting.name == "plan":
            measured = self.reference("rd-outputs")[0] / "saved" / "measured.json"
            shutil.copy(measured, folder / "in" / "measured.json")

    def command(self, setting):
        if LEAST_MEMORY in setting.arguments and setting.name not in self.least_memory:
            self.least_memory[setting.name] = self._find_least_memory(setting)
        least = self.least_memory.get(setting.name)
        return [str(self.program), *(least if word == LEAST_MEMORY else word for word in setting.arguments)]

    def _find_least_memory(self, setting):
        folder = self.folder / "memory" / setting.name
        self.make_case(setting, folder)
        words = [str(self.program), *("20MB" if word == LEAST_MEMORY else word for word in setting.arguments)]
        refusal = launch.run(words, folder, {}, TIME_LIMIT).stderr
        return f"{int(re.search(r'takes ([0-9]+)', refusal)[1]) + 8}MB"

    def run(self, setting, folder, fault="", resume=False, ranks=Ranks()):
        """Runs the setting's command in `folder`, with a fault of the chosen rank."""
        words = self.command(setting)
        if resume and words[1] in ("compress", "compare"):  # others begin again
            words = words + ["--resume"]
        environment = {"SGPT_MI_FAULT_COUNTS": str(folder / "counts"), "SGPT_MI_FAULT_WRITES": str(folder),
                       "SGPT_MI_FAULT_READS": str(folder / "in"), "LD_PRELOAD": str(self.faults)}
        if ranks.number > 0:
            environment["SGPT_MI_FAULT_RANK"] = str(ranks.chosen)
        delay = None
        if fault.startswith("time:"):
            delay = float(fault[5:]) * self.seconds_of(setting.name, ranks.number)
        elif fault:
            environment["SGPT_MI_FAULT"] = fault
        run = launch.run(words, folder, environment, TIME_LIMIT, delay, ranks)
        if (folder / "counts").exists():
            *calls, failed = struct.unpack("3Q512s", (folder / "counts").read_bytes())
            (folder / "counts").unlink()
            run.calls, run.failed = dict(zip(KINDS, calls, strict=True)), failed.split(b"\0")[0].decode()
        return run

    def reference(self, name):
        """Folder and run of the setting without any fault."""
        if name not in self.references:
            setting, folder = SETTINGS[name], self.folder / "reference" / name
            self.make_case(setting, folder)
            run = self.run(setting, folder)
            require(run.code == 0, f"{name} fails without any fault: {run.stderr}")
            self.references[name] = folder, run
        return self.references[name]

    def seconds_of(self, name, number):
        """Of the setting without any fault, on that many ranks, which must leave the bytes of a run without mpirun."""
        if number == 0:
            return self.reference(name)[1].seconds
        with self.lock:
            if (name, number) not in self.rank_seconds:
                setting, folder = SETTINGS[name], self.folder / "reference" / f"{name}-{number}"
                shutil.rmtree(folder, ignore_errors=True)
                self.make_case(setting, folder)
                run = self.run(setting, folder, ranks=Ranks(number))
                require(run.code == 0, f"{name} fails on {number} ranks without any fault: {run.stderr}")
                self._judge_files(setting, folder, None, run)
                self.rank_seconds[name, number] = run.seconds
            return self.rank_seconds[name, number]

    # --- cases --------------------------------------------------------------------------------

    def check(self, case):
        """Runs a case; throws Broken. Returns the faults that took effect: the others came too late."""
        name, _, faults = case.partition("/")
        folder = self.folder / "cases" / re.sub(r"[^a-z0-9.]+", "-", case.lower())
        shutil.rmtree(folder, ignore_errors=True)
        setting = SETTINGS[name]
        self.make_case(setting, folder)
        try:
            effective = self._check(setting, folder, faults.split(","))
        except Broken as broken:
            raise Broken(f"{broken}\n    in {folder}") from None
        shutil.rmtree(folder)
        return effective

    def _check(self, setting, folder, faults):
        old = self._put_old_result(setting, folder, faults)
        effective = 0
        rounded = False
        for fault in faults:
            partial = self._partial(setting, folder)
            if fault.startswith("input:"):
                effective += self._check_input(setting, folder, fault, old)
                return effective
            ranks = Ranks()
            if fault.startswith("ranks:"):
                _, number, chosen, fault = fault.split(":", maxsplit=3)
                ranks = Ranks(int(number), int(chosen))
            run = self.run(setting, folder, fault, resume=partial is not None, ranks=ranks)
            kills = fault.startswith("time:") or fault.endswith(("kill", "tear"))
            effective += run.code == -signal.SIGKILL if kills else run.failed != ""
            rounded = rounded or SCRATCH in run.failed
            if run.code != -signal.SIGKILL:
                self._judge_sentence(fault, run, ranks)
            elif ranks.number > 0:
                # mpirun does not name one that had not joined yet.
                named = f"rank {ranks.chosen} " in run.stderr or "1 process returned" in run.stderr
                require(named, f"the rank that died is not named: {run.stderr}")
            self._judge_files(setting, folder, old, run, fault, rounded)
        if setting.result and (self._partial(setting, folder) or run.code == -signal.SIGKILL):
            self._finish(setting, folder, ranks.fewer(), other_input=any(":cut" in fault for fault in faults),
                         rounded=rounded)
        return effective

    def _check_input(self, setting, folder, fault, old):
        """Runs with a changed input: it is refused with a sentence, or it is as good as another."""
        _, where, seed = fault.split(":")
        partial = self._partial(setting, folder)
        root = partial if where == "partial" else folder / where
        files = [] if root is None else [root] if root.is_file() else sorted(root.rglob("*"))
        files = [each for each in files if each.is_file()]
        if not files:  # killed before anything was written
            return 0
        file = random.Random(seed).choice(files)
        changed = mutated(file.read_bytes(), seed)
        file.write_bytes(changed)
        run = self.run(setting, folder, resume=partial is not None)
        text = f"{file.name} changed: exit code {run.code}: {run.stderr.strip()}"
        require(run.code in (0, 2, 3, 4), text)
        if run.code != 0:
            self._judge_one_sentence(run)
        most = self.reference(setting.name)[1].peak_bytes + LEAST_BOUND + BYTES_A_BYTE * len(changed)
        require(run.peak_bytes <= most, f"{run.peak_bytes} bytes of memory, more than {most}: {text}")
        if setting.result and (partial or run.code != 0):
            self._judge_files(setting, folder, old, run)
        return 1

    def _put_old_result(self, setting, folder, faults):
        """An older result in the place of the new one in about half of the cases; its exact contents."""
        old = folder / setting.result
        if setting.result and hashlib.sha256(",".join(faults).encode()).digest()[0] % 2:
            new = self.reference(setting.name)[0] / setting.result
            if new.is_dir():
                shutil.copytree(new, old)
                (old / OLD_SHARD).write_text("an older result", encoding="utf-8")
            else:
                old.write_bytes(new.read_bytes() + b"older")
        return exact(old) if setting.result else None

    @staticmethod
    def _partial(setting, folder):
        """The unfinished result beside the result, if there is one."""
        partial = folder / (setting.result + ".partial")
        return partial if setting.result and partial.exists() else None

    @staticmethod
    def _judge_sentence(fault, run, ranks):
        kind = fault.partition(":")[0]
        if run.code == 0:  # what failed could be done without
            return
        text = run.stderr.strip()
        require(run.code >= 0, f"signal {-run.code}: {text}")
        require(run.failed != "", f"exit code {run.code} without a fault: {text}")
        require(run.code == CODES[kind], f"exit code {run.code} after {run.failed}: {text}")
        sentence = Bench._judge_one_sentence(run, ranks)
        require(ranks.chosen == 0 or f"rank {ranks.chosen} on " in sentence, f"the rank is not named: {text}")
        names = "memory" if kind == "alloc" else "in/" if kind == "read" else "saved|in/scratch"
        require(re.search(names, sentence), f"the sentence does not name what failed ({run.failed}): {text}")
        full = "ENOSPC" in fault and not run.failed.startswith(("rename", "mkdir"))
        require(not full or "full" in sentence, f"a full disk is not called so ({run.failed}): {text}")

    @staticmethod
    def _judge_one_sentence(run, ranks=Ranks()):
        text = run.stderr.strip()
        lines = [line for line in text.splitlines() if not line.startswith("warning: ")]
        if ranks.number > 0:  # beside mpirun's own words
            lines = [line for line in lines if line.startswith("sgpt-mi: ")]
        require(len(lines) == 1 and lines[0].startswith("sgpt-mi: error: "), f"not one sentence: {text}")
        require(not TRACES.search(lines[0]) and len(lines[0]) < 7000, f"no sentence for a user: {text}")
        return lines[0]

    def _judge_files(self, setting, folder, old, run, fault="", rounded=False):
        if not setting.result:
            require(exact(folder / "saved") == {}, "files appeared")
            return
        result = folder / setting.result
        reference = self.reference(setting.name)[0] / setting.result
        complete = _is_complete(contents(result), contents(reference), run)
        complete = complete or rounded and run.code == 0 and _is_near(result, reference)
        kept = exact(result) == old
        # What a file was cut to before it was opened may be a file as good as the whole one; texts are opened twice,
        # first to see what they are.
        other_input = ":cut" in fault and (run.failed.startswith(("open", "fopen")) or "/in/text/" in run.failed)
        require(complete or run.code != 0 or other_input,
                "the run succeeded and its result is another than without the fault")
        require(complete or kept or run.code == 0, f"exit code {run.code}: the old result was touched: {exact(result)}")
        expected = {each.name for each in (self.reference(setting.name)[0] / "saved").iterdir()}
        allowed = expected if run.code == 0 else expected | {pathlib.Path(setting.result).name + ".partial"}
        left = {each.name for each in (folder / "saved").iterdir()} - allowed
        require(not left or run.code == -signal.SIGKILL and all(map(_is_temporary, left)),
                f"exit code {run.code}: left behind: {sorted(left)}")

    def _finish(self, setting, folder, ranks, other_input, rounded):
        """What is left can be gone on with, and ends as an undisturbed run. Of a run that began with other input it is
        refused instead."""
        partial = self._partial(setting, folder)
        self._restore_inputs(setting, folder)
        run = self.run(setting, folder, resume=partial is not None, ranks=ranks)
        if other_input and run.code == 2 and "holds an unfinished run that differs" in run.stderr:
            return
        way = "resumed" if partial else "run again"
        require(run.code == 0, f"{way}: exit code {run.code}: {run.stderr}")
        self._judge_files(setting, folder, None, run, rounded=rounded)

    def _restore_inputs(self, setting, folder):
        """Inputs that a fault cut are whole again."""
        shutil.rmtree(folder / "in")
        whole = folder / "whole"
        self.make_case(setting, whole)
        (whole / "in").rename(folder / "in")
        shutil.rmtree(whole)
