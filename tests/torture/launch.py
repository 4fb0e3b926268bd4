"""Runs a command, alone or as several ranks, and kills it, or one of them, when its time has come."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import tempfile
import time

MPIRUN = ("mpirun", "--oversubscribe", "--allow-run-as-root", "--bind-to", "none", "-np")


class Broken(Exception):
    """A promise that a run did not keep."""


def require(holds, text):
    if not holds:
        raise Broken(text)


@dataclasses.dataclass
class Run:
    """What a run left: its exit code (negative: a signal), stderr, calls by kind, the call that failed, most memory."""

    code: int
    stderr: str
    calls: dict
    failed: str
    seconds: float
    peak_bytes: int


@dataclasses.dataclass(frozen=True)
class Ranks:
    """How many processes share a run, and which of them a fault is for; 0 of them: one without mpirun."""

    number: int = 0
    chosen: int = 0

    def launched(self, words, environment):
        """The words that start them, and the environment of the one who starts: mpirun itself loads no library."""
        if self.number == 0:
            return words, environment
        given = [word for name, value in environment.items() for word in ("-x", f"{name}={value}")]
        return [*MPIRUN, str(self.number), *given, *words], {}

    def process(self, started):
        """The process to kill of the one that was started; None: it is not there."""
        if self.number == 0:
            return started
        try:
            children = pathlib.Path(f"/proc/{started}/task/{started}/children").read_text(encoding="ascii").split()
        except FileNotFoundError:
            return None
        return int(children[self.chosen]) if self.chosen < len(children) else None

    def fewer(self):
        """One rank less; of two, one without mpirun."""
        return Ranks(self.number - 1 if self.number > 2 else 0)


def run(words, folder, environment, limit, delay=None, ranks=Ranks()):
    """Runs the words in `folder` and, after `delay` seconds, kills; longer than `limit` seconds they must not take."""
    begin = time.monotonic()
    words, environment = ranks.launched(words, environment)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
                                "TMPDIR": str(folder / "in" / "scratch")} | environment
    with tempfile.TemporaryFile() as stderr:
        with subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=stderr) as process:
            status, usage, in_time = _wait_for(process, begin + limit, delay and begin + delay, ranks)
            process.returncode = os.waitstatus_to_exitcode(status)
        require(in_time, f"it ran longer than {limit:g} s")
        stderr.seek(0)
        text = stderr.read().decode(errors="replace")
    code = process.returncode
    if ranks.number > 0 and code > 128:  # mpirun's word for a signal that ended a rank
        code = 128 - code
    return Run(code, text, {}, "", time.monotonic() - begin, usage.ru_maxrss * 1024)


def _kill(process):
    """Whether the process was still there."""
    if process is None:
        return False
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _wait_for(process, limit, kill_at, ranks):
    """Status and use of a process, and whether it ended before `limit`."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            return status, usage, time.monotonic() < limit
        now = time.monotonic()
        if now >= limit:
            for chosen in range(ranks.number):  # which outlive a killed mpirun
                _kill(dataclasses.replace(ranks, chosen=chosen).process(process.pid))
            _kill(process.pid)
        elif kill_at is not None and now >= kill_at and _kill(ranks.process(process.pid)):
            kill_at = None
        time.sleep(0.004)
