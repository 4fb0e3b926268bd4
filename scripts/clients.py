"""What check_llama_cpp and check_transformers share: the text, tensor files, and how checks are run."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Lines that every split pattern treats in its own way. Composed characters only: llama.cpp applies no
# Unicode normalization, so a tokenizer with NFC differs on others.
TEXT = """Hello world!  It's 2026, and I'll've 12345 things: naïve café, Straße, Привет мир.
你好世界, こんにちは, مرحبا بالعالم, हिन्दी ภาษาไทย 한국어, 🦙🚀👩‍👩‍👧
\tTabs\tand   spaces, def f(x): return x**2 + 3.14  # comment
Ünïcödé ½ ² ①②③ 1234567890 hello's THEY'RE don't """
# For vocabularies that lack characters: what transformers 5 makes of them is its own (nothing, where the
# tokenizer.json says <unk>), and llama.cpp ends the process.
PLAIN_TEXT = """Once upon a time, there was a little girl named Lily.  She didn't like "big" dogs!
 They ran and ran; was it fun? "Yes!" said the fox.   """


def lines_of(plain):
    return (PLAIN_TEXT if plain else TEXT).split("\n")


def read_tensors(path):
    """{name: (type, shape, bytes)} of the safetensors files of a folder, or of one file."""
    tensors = {}
    for file in [path] if path.is_file() else sorted(path.glob("*.safetensors")):
        data = file.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:start]).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                tensors[name] = (entry["dtype"], entry["shape"], data[start + begin:start + end])
    return tensors


class Checks:
    """Runs programs, as many at once as there are jobs, and counts what differs.

    One thread a program: it is the other jobs that fill the cores.
    """

    def __init__(self, program, jobs):
        self.program = program
        self.jobs = jobs
        self.failures = 0
        self.done = 0
        self.lock = threading.Lock()
        self.environment = dict(os.environ, OMP_NUM_THREADS="1", TORCHDYNAMO_DISABLE="1",
                                HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")

    def run(self, *command, text=None):
        """Standard output; RuntimeError with the program's own words when it fails."""
        done = subprocess.run([str(word) for word in command], input=text, capture_output=True,
                              env=self.environment, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command[:3]))}: exit {done.returncode}: "
                               f"{done.stderr.decode(errors='replace').strip()[-600:]}")
        return done.stdout.decode()

    def ours(self, *arguments, text=None):
        return self.run(self.program, *arguments, text=text)

    def ids(self, source, line):
        return json.loads(self.ours("tokenize", source, "-", text=line.encode()))["ids"]

    def figures(self, model, windows, limit, report, *more):
        """What `sgpt-mi eval` measures on recorded windows: figures of "dense" or "compressed", or of both."""
        self.ours("eval", model, "--eval", windows, "--eval_windows", limit, "--device", "cpu", "--dtype", "float32",
                  "--report", report, "--quiet", *more)
        return next(iter(json.loads(report.read_text())["perplexity"].values()))

    def say(self, good, text):
        with self.lock:
            self.failures += not good
            self.done += 1
            print(f"{'ok   ' if good else 'FAULT'} {text}", flush=True)

    def each(self, tasks):
        """Calls (name, function, arguments) of every task; what they throw is a fault of that name."""
        def guarded(name, function, arguments):
            try:
                function(*arguments)
            except Exception as error:  # pylint: disable=broad-except
                self.say(False, f"{name}: {error or type(error).__name__}")

        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for task in tasks:
                pool.submit(guarded, *task)


class WarmPython:
    """One interpreter that runs scripts one after the other, so that what they import is loaded once."""

    SERVER = r"""
import gc, json, os, runpy, sys, tempfile, traceback
answers = os.fdopen(os.dup(1), "w")
def run(argv):
    sys.argv = argv
    try:
        runpy.run_path(argv[0], run_name="__main__")
        return 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            sys.stderr.write(stop.code)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
for line in sys.stdin:
    argv = json.loads(line)
    sys.path[0] = os.path.dirname(argv[0])
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        code = run(argv)
        sys.stdout.flush()
        sys.stderr.flush()
        gc.collect()
        texts = []
        for file in out, err:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    print(json.dumps([code, *texts]), file=answers, flush=True)
"""

    def __init__(self, python, environment):
        self.command = [python, "-c", self.SERVER]
        self.environment = environment
        self.lock = threading.Lock()
        self.process = None

    def run(self, script, *arguments):
        """Standard output of the script; RuntimeError with its own words when it fails."""
        with self.lock:
            if self.process is None:
                self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                stderr=subprocess.DEVNULL, env=self.environment, text=True)
            self.process.stdin.write(json.dumps([str(script), *map(str, arguments)]) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            if not answer:
                code, self.process = self.process.wait(), None
                raise RuntimeError(f"{script}: the interpreter ended with {code}")
        code, printed, complaints = json.loads(answer)
        if code != 0:
            raise RuntimeError(f"{script}: {complaints.strip()[-600:]}")
        return printed

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
