#!/usr/bin/env python3
"""The program against a Hub of the tests' own (hub_server.py): models, data sets, scripts/reproduce, and Python's
huggingface_hub on the same cache.

    hub_test.py PROGRAM [unittest arguments]

What needs ../shared, pyarrow or huggingface_hub is skipped with its reason where that is missing.
"""

import gzip
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from hub_server import Hub

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("SGPT_MI_SHARED") or ROOT.parent / "shared")
DEMO = ROOT / "scripts" / "demo_model"
# scripts/setup --dev puts huggingface_hub (with transformers) and pyarrow here.
OWN_PYTHON = ROOT / ".venv" / "bin" / "python"
PYTHON = str(OWN_PYTHON) if OWN_PYTHON.exists() else sys.executable
PROGRAM = "build/sgpt-mi"
SMALL = ["--seqlen", "128", "--eval_windows", "2", "--device", "cpu", "--threads", "1"]

CONVERT = """
import sys, pyarrow, pyarrow.parquet
column, source, target = sys.argv[1:]
rows = open(source, encoding="utf-8", newline="").read().split("\\n")
rows = rows[:-1] if rows[-1] == "" else rows
if column == "text":  # as the data set wikitext: lines with their newline, blank ones empty
    rows = [row + "\\n" if row.strip() else "" for row in rows]
else:
    rows = [row.strip() for row in rows]
pyarrow.parquet.write_table(pyarrow.table({column: rows}), target)
"""


def python_has(*modules):
    return subprocess.run([PYTHON, "-c", "import " + ", ".join(modules)], capture_output=True,
                          check=False).returncode == 0


def size(path):
    """Bytes of a file that another process may rename at any moment: 0 when it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class HubCase(unittest.TestCase):
    """A folder, a served tree and an environment without anything of the user's own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sgpt-mi-hub-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = self.folder / "root"
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith(("HF_", "HUGGING", "XDG_", "TRANSFORMERS_"))
                            and not key.lower().endswith("_proxy")}
        self.environment.pop("SGPT_MI_DATA", None)
        self.environment |= {"HF_HOME": str(self.folder / "home"), "HOME": str(self.folder)}
        self.publish_model(DEMO, "org/demo")

    def publish_model(self, source, name):
        target = self.root / "models" / name / "main"
        target.mkdir(parents=True)
        for path in source.iterdir():
            if path.is_file():
                shutil.copy(path, target / path.name)

    def serve(self, **settings):
        hub = Hub(self.root, settings)
        self.environment["HF_ENDPOINT"] = hub.start()
        self.addCleanup(hub.stop)
        return hub

    def run_program(self, *arguments, code=0, **more):
        result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False,
                                env=self.environment | more)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def evaluate(self, model, *flags, texts=DEMO / "text" / "test.txt", **more):
        """The report's perplexities and stderr."""
        report = self.folder / "report.json"
        result = self.run_program("eval", model, "--eval", texts, *SMALL, "--report", report, *flags, **more)
        return json.loads(report.read_text(encoding="utf-8")), result.stderr

    def loss(self, model, *flags, **more):
        report, _ = self.evaluate(model, *flags, **more)
        return next(iter(report["perplexity"].values()))["dense"]["nll_mean"]


class Models(HubCase):
    def test_an_id_runs_as_typed_and_then_without_a_hub(self):
        hub = self.serve()
        report, stderr = self.evaluate("org/demo")
        self.assertIn("fetching org/demo from the Hub", stderr)
        self.assertIn("fetched org/demo: 6 files, 2.2 MB", stderr)
        self.assertFalse([r for r in hub.requests if "README" in r["path"]])
        asked = len(hub.requests)
        again, stderr = self.evaluate("org/demo")
        self.assertNotIn("fetch", stderr)
        self.assertEqual(len(hub.requests), asked)
        hub.stop()
        offline, _ = self.evaluate("org/demo", "--offline")
        local, _ = self.evaluate(DEMO)
        for other in (again, offline, local):
            self.assertEqual(report["perplexity"], other["perplexity"])

    def test_quiet_says_nothing(self):
        self.serve()
        self.assertEqual(self.evaluate("org/demo", "--quiet")[1], "")

    def test_offline_fetches_nothing(self):
        hub = self.serve()
        result = self.run_program("eval", "org/demo", "--offline", code=3)
        self.assertIn("--offline", result.stderr)
        self.run_program("eval", "org/demo", code=3, HF_HUB_OFFLINE="1")
        self.assertEqual(hub.requests, [])

    def test_a_revision_is_another_model(self):
        other = self.root / "models/org/demo/v2"
        shutil.copytree(self.root / "models/org/demo/main", other)
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps(config | {"activation_function": "gelu"}))
        self.serve()
        self.assertNotEqual(self.loss("org/demo"), self.loss("org/demo", "--revision", "v2"))
        result = self.run_program("eval", DEMO, "--revision", "v2", code=2)
        self.assertIn("--revision is for Hub ids", result.stderr)
        result = self.run_program("eval", "org/demo", "--revision", "v3", code=3)
        self.assertIn("no revision 'v3'", result.stderr)

    def test_tokenize_fetches_no_weights(self):
        hub = self.serve()
        text = self.folder / "text.txt"
        text.write_text("Nine plums.")
        here = self.run_program("tokenize", DEMO, text).stdout
        self.assertEqual(self.run_program("tokenize", "org/demo", text).stdout, here)
        self.assertFalse([r for r in hub.requests if "safetensors" in r["path"]])

    def test_a_bad_line_ends_well(self):
        self.serve(faults={"model.safetensors": ["503", "cut:900000", "429:1", "wrong", "cut:3"]})
        self.assertEqual(self.loss("org/demo"), self.loss(DEMO))

    def test_two_at_once_fetch_every_byte_once(self):
        hub = self.serve(faults={"model.safetensors": ["slow:1500000"]})
        command = [PROGRAM, "eval", "org/demo", "--eval", str(DEMO / "text" / "test.txt"), *SMALL]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 env=self.environment) for _ in range(2)]
        outputs = [process.communicate()[0] for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], outputs)
        bodies = [r for r in hub.requests if r["method"] == "GET" and "/blob/" in r["path"]]
        self.assertEqual(len(bodies), len({r["path"] for r in bodies}))

    def test_ctrl_c_keeps_what_is_there(self):
        hub = self.serve(faults={"model.safetensors": ["slow:400000"]})
        with subprocess.Popen([PROGRAM, "eval", "org/demo", "--eval", str(DEMO / "text" / "test.txt"), *SMALL],
                              stderr=subprocess.PIPE, text=True, env=self.environment) as process:
            blobs = self.folder / "home/hub/models--org--demo/blobs"
            for _ in range(600):
                left = [p for p in blobs.glob("*.incomplete") if size(p) > 200000]
                if left:
                    break
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            stderr = process.communicate()[1]
        self.assertEqual(process.returncode, 130, stderr)
        self.assertIn("is kept", stderr)
        self.assertTrue(left[0].exists())
        self.assertEqual(self.loss("org/demo"), self.loss(DEMO))
        self.assertTrue([r for r in hub.requests if r["range"]])

    def test_a_gated_model_needs_its_licence_and_the_token_is_not_shown(self):
        hub = self.serve(gated=["org/demo"], token="hf_right")
        result = self.run_program("eval", "org/demo", code=3)
        self.assertIn("accept its licence", result.stderr)
        result = self.run_program("eval", "org/demo", "--verbose", code=3, HF_TOKEN="hf_wrong")
        self.assertNotIn("hf_wrong", result.stderr)
        token = self.folder / "home/token"
        token.parent.mkdir(exist_ok=True)
        token.write_text("hf_right\n")
        report, stderr = self.evaluate("org/demo", "--verbose")
        self.assertNotIn("hf_right", json.dumps(report) + stderr)
        self.assertFalse([r for r in hub.requests if r["other"] and r["token"]])

    def test_misspelt_ids_say_what_was_tried(self):
        self.serve()
        result = self.run_program("eval", "org/deno", code=3)
        self.assertIn("spelling", result.stderr)
        self.assertIn("there is no folder or file", result.stderr)

    @unittest.skipUnless((SHARED / "models/opt-3m").is_dir(), f"no {SHARED}/models/opt-3m")
    def test_opt_3m(self):
        self.publish_model(SHARED / "models/opt-3m", "someone/opt-3m")
        self.serve()
        self.assertEqual(self.loss("someone/opt-3m"), self.loss(SHARED / "models/opt-3m"))

    @unittest.skipUnless((SHARED / "models/tinystories-656k").is_dir(), f"no {SHARED}/models/tinystories-656k")
    def test_a_gguf_alone(self):
        source = SHARED / "models/tinystories-656k/TinyStories-656K-Q8_0.gguf"
        target = self.root / "models/someone/gguf/main"
        target.mkdir(parents=True)
        shutil.copy(source, target / source.name)
        shutil.copy(source, target / "other-Q4_0.gguf")
        self.serve()
        result = self.run_program("eval", "someone/gguf", code=3)
        self.assertIn("TinyStories-656K-Q8_0.gguf", result.stderr)
        for name in ("someone/gguf:Q8_0", f"someone/gguf:{source.name}"):
            self.assertEqual(self.loss(name), self.loss(source))


class Texts(HubCase):
    """The three data sets: cut-down, made from the demo model's text."""

    def setUp(self):
        super().setUp()
        if not python_has("pyarrow"):
            self.skipTest(f"{PYTHON} has no pyarrow to write parquet with")
        self.data = self.folder / "data"
        for name in ("wikitext2", "ptb", "c4"):
            (self.data / name).mkdir(parents=True)
        for split, source in (("train", "train.txt"), ("test", "test.txt")):
            text = (DEMO / "text" / source).read_text(encoding="utf-8")[:60000]
            lines = [line for line in text.split("\n") if line]
            wiki = "".join(f" {line} \n \n" for line in lines)
            (self.data / f"wikitext2/wiki.{split}.raw").write_text(" \n" + wiki, encoding="utf-8")
            (self.data / f"ptb/ptb.{split}.txt").write_text("".join(f" {line} \n" for line in lines))
            documents = [text[at:at + 3000] for at in range(0, len(text), 3000)]
            name = {"train": "c4-train.00000-of-01024", "test": "c4-validation.00000-of-00008"}[split]
            with gzip.open(self.data / f"c4/{name}.json.gz", "wt", encoding="utf-8") as stream:
                stream.writelines(json.dumps({"text": document, "url": ""}) + "\n" for document in documents)
        self.publish_data()

    def publish_data(self):
        sets = self.root / "datasets"
        c4 = sets / "allenai/c4/main/en"
        c4.mkdir(parents=True)
        for path in (self.data / "c4").iterdir():
            shutil.copy(path, c4 / path.name)
        for column, source, target in (
                ("text", "wikitext2/wiki.{}.raw",
                 "Salesforce/wikitext/main/wikitext-2-raw-v1/{}-00000-of-00001.parquet"),
                ("sentence", "ptb/ptb.{}.txt",
                 "ptb-text-only/ptb_text_only/refs%2Fconvert%2Fparquet/penn_treebank/{}/0000.parquet")):
            for split in ("train", "test"):
                path = sets / target.format(split)
                path.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run([PYTHON, "-c", CONVERT, column, self.data / source.format(split), path], check=True)
        (sets / "ptb-text-only/ptb_text_only/main").mkdir()
        (sets / "ptb-text-only/ptb_text_only/main/ptb_text_only.py").write_text("# a script\n")

    def test_the_same_texts_as_from_a_folder(self):
        hub = self.serve()
        ours, stderr = self.evaluate(DEMO, texts="wikitext2,ptb,c4")
        self.assertIn("fetched allenai/c4: 1 files", stderr)
        theirs, _ = self.evaluate(DEMO, "--data-dir", self.data, texts="wikitext2,ptb,c4")
        self.assertEqual(ours["perplexity"], theirs["perplexity"])
        self.assertEqual(len(ours["perplexity"]), 3)
        asked = len(hub.requests)
        again, _ = self.evaluate(DEMO, texts="wikitext2,ptb,c4")
        self.assertEqual(again["perplexity"], ours["perplexity"])
        self.assertEqual(len(hub.requests), asked)
        hub.stop()
        result = self.run_program("eval", DEMO, "--eval", "wikitext2", "--offline", code=3,
                                  HF_HUB_CACHE=self.folder / "empty")
        self.assertIn("--data-dir", result.stderr)

    def test_model_and_calibration_as_typed(self):
        self.serve()
        reports = []
        for flags in ([], ["--data-dir", self.data]):
            path = self.folder / "compress.json"
            self.run_program("compress", "org/demo", "c4", "--sparsity", "0.5", "--method", "sparsegpt", "--nsamples",
                             "4", *SMALL, "--eval", "c4", "--report", path, *flags)
            reports.append(json.loads(path.read_text(encoding="utf-8")))
        self.assertEqual(reports[0]["calibration"], reports[1]["calibration"])
        self.assertEqual(reports[0]["perplexity"], reports[1]["perplexity"])

    def test_huggingface_hub_and_we_share_a_cache(self):
        if not python_has("huggingface_hub"):
            self.skipTest(f"{PYTHON} has no huggingface_hub (scripts/setup --dev installs it with transformers)")
        hub = self.serve()
        ours, _ = self.evaluate("org/demo", texts="c4")
        asked = self.bodies(hub)
        # What we have made: found without a connection, and complete for an online call, too.
        files = ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
        code = ("import sys, huggingface_hub as h\n"
                f"for name in {files!r}: print(h.hf_hub_download('org/demo', name, local_files_only=OFFLINE))\n"
                "print(h.hf_hub_download('allenai/c4', 'en/c4-validation.00000-of-00008.json.gz',"
                " repo_type='dataset', local_files_only=OFFLINE))\n")
        for offline in ("True", "False"):
            result = self.python(code.replace("OFFLINE", offline))
            for line, name in zip(result.split(), files):
                self.assertEqual(pathlib.Path(line).read_bytes(), (DEMO / name).read_bytes())
        self.assertEqual(self.bodies(hub), asked, "huggingface_hub fetched again what we had fetched")
        # What it has made.
        self.environment["HF_HOME"] = str(self.folder / "second")
        everything = sorted(path.name for path in DEMO.iterdir() if path.is_file())
        self.python("import huggingface_hub as h\n"
                    f"for name in {everything!r}: h.hf_hub_download('org/demo', name)\n"
                    "h.hf_hub_download('allenai/c4', 'en/c4-validation.00000-of-00008.json.gz', repo_type='dataset')\n")
        hub.stop()
        theirs, _ = self.evaluate("org/demo", "--offline", texts="c4")
        self.assertEqual(ours["perplexity"], theirs["perplexity"])

    @staticmethod
    def bodies(hub):
        return len([r for r in hub.requests if r["method"] == "GET" and "/blob/" in r["path"]])

    def python(self, code):
        result = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False,
                                env=self.environment | {"HF_HUB_DISABLE_XET": "1"})
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout


@unittest.skipUnless((SHARED / "golden/sparsegpt/opt-3m").is_dir(), f"no {SHARED}/golden/sparsegpt/opt-3m")
class Reproduce(HubCase):
    """scripts/reproduce on the fixtures: recorded results of the original code stand in for the published ones."""

    WINDOWS = 2

    def published(self, results):
        return {name: math.exp(sum(results[name]["window_nll"][:self.WINDOWS]) / self.WINDOWS)
                for name in ("wikitext2", "ptb", "c4")}

    def write_table(self):
        recorded = json.loads((SHARED / "golden/sparsegpt/opt-3m/results.json").read_text(encoding="utf-8"))
        dense = json.loads((SHARED / "golden/dense/opt-3m.json").read_text(encoding="utf-8"))
        run = {"model": "someone/opt-3m", "source": "fixtures"}
        table = {"calibration": "c4", "compress": ["--method", "sparsegpt", "--nsamples", "32"],
                 "eval": ["--seqlen", "512", "--eval", "wikitext2,ptb,c4", "--eval_windows", str(self.WINDOWS)],
                 "sources": {"fixtures": "recorded"},
                 "runs": [run | {"setting": "dense", "flags": [], "published": self.published(dense["seqlen"]["512"]),
                                 "tolerance": 0.001},
                          run | {"setting": "50 %", "flags": ["--sparsity", "0.5"], "tolerance": 0.01,
                                 "published": self.published(recorded["configs"]["s50"]["ppl"])}]}
        path = self.folder / "table.json"
        path.write_text(json.dumps(table), encoding="utf-8")
        return path, table

    def test_measured_beside_published(self):
        self.publish_model(SHARED / "models/opt-3m", "someone/opt-3m")
        self.serve()
        path, table = self.write_table()
        command = [sys.executable, ROOT / "scripts/reproduce", "--table", path, "--out", self.folder / "out"]
        more = ["--", "--data-dir", SHARED / "data", "--device", "cpu"]
        environment = self.environment | {"SGPT_MI": str(pathlib.Path(PROGRAM).resolve())}
        result = subprocess.run([*command, *more], capture_output=True, text=True, check=False, env=environment)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count("ok (fixtures)"), 6, result.stdout)
        table["runs"][0]["published"]["ptb"] *= 1.1
        path.write_text(json.dumps(table), encoding="utf-8")
        began = time.monotonic()
        result = subprocess.run([*command, "--only", "dense", *more], capture_output=True, text=True, check=False,
                                env=environment)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count("OFF (fixtures)"), 1, result.stdout)
        self.assertNotIn("reproduce:", result.stderr, "the report was there")
        self.assertLess(time.monotonic() - began, 60)

    def test_every_published_figure_has_a_source(self):
        table = json.loads((ROOT / "configs/published.json").read_text(encoding="utf-8"))
        for run in table["runs"]:
            self.assertEqual(bool(run["published"]), run["source"] in table["sources"], run)
            self.assertLessEqual(set(run["published"]), {"wikitext2", "ptb", "c4"})


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
