"""What the torture runs: small models and a command for every method and format."""

import dataclasses
import json
import lzma
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "scripts" / "demo_model"
sys.path.insert(0, str(ROOT / "scripts"))
import random_models  # noqa: E402  (its folder is known only now)

MACHINE = ["--device", "cpu", "--threads", "1", "--quiet"]
CALIBRATION = ["in/text/train.txt", "--nsamples", "2", "--seqlen", "64", "--eval", "none", *MACHINE]
EVALUATION = ["--eval", "in/text/test.txt", "--seqlen", "64", "--eval_windows", "2", *MACHINE]
WIDTHS = ["--sparsity", "0.5", "--target_avg_bits", "4"]
LEAST_MEMORY = "LEAST"  # stands for a little more than the program calls too little
ONE_WIDTH = ["--sparsity", "0.5", "--wbits", "4"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A command, run in a folder with the model in in/model and the texts in in/text.

    `result` is what it writes, in saved/, "" for nothing; `of` the setting whose result is its
    model instead of a dense one.
    """

    name: str
    model: str
    arguments: tuple
    result: str = ""
    of: str = ""


def _compressions():
    for method in ("rd", "mi", "toky", "enhanced", "sparsegpt", "magnitude"):
        bits = ONE_WIDTH if method in ("sparsegpt", "magnitude") else WIDTHS
        yield method, "packed", "opt", bits
        yield method, "hf", "opt", bits
        if bits is ONE_WIDTH or method == "rd":
            yield method, "gptq", "opt", bits
            yield method, "compressed-tensors", "opt", bits
            yield method, "gguf", "llama", ["--gguf_type", "Q6_K", "--sparsity", "0.5"]


def _all_settings():
    for method, kind, model, flags in _compressions():
        result = "saved/out.gguf" if kind == "gguf" else "saved/out"
        yield Setting(f"{method}-{kind}", model,
                      ("compress", "in/model", *CALIBRATION, "--method", method, "--format", kind, *flags,
                       "--save", result), result)
    rd = ("compress", "in/model", *CALIBRATION, "--method", "rd", *WIDTHS)
    yield Setting("rd-shards", "opt", (*rd, "--shard_bytes", "200KB", "--save", "saved/out"), "saved/out")
    yield Setting("rd-outputs", "opt", (*rd, "--save", "saved/out", "--report", "saved/report.json", "--measurements",
                                        "saved/measured.json", "--trace", "saved/trace.json", "--plots",
                                        "saved/plots"), "saved/out")
    # Little memory: activations go to a file.
    yield Setting("sparsegpt-scratch", "opt",
                  ("compress", "in/model", *CALIBRATION, "--nsamples", "384", "--method", "sparsegpt", *ONE_WIDTH,
                   "--max_memory", LEAST_MEMORY, "--save", "saved/out"), "saved/out")
    yield Setting("export-hf", "", ("export", "in/model", "-o", "saved/out"), "saved/out", "rd-packed")
    yield Setting("export-gguf", "llama", ("export", "in/model", "--format", "gguf", "-o", "saved/out.gguf"),
                  "saved/out.gguf")
    for kind in ("packed", "hf", "gptq", "compressed-tensors", "gguf"):
        yield Setting(f"eval-{kind}", "", ("eval", "in/model", *EVALUATION), "", f"rd-{kind}")
        yield Setting(f"inspect-{kind}", "", ("inspect", "in/model"), "", f"rd-{kind}")
    yield Setting("eval-opt", "opt", ("eval", "in/model", *EVALUATION))
    yield Setting("tokenize", "opt", ("tokenize", "in/model", "in/text/test.txt"))
    yield Setting("tokenize-xz", "opt", ("tokenize", "in/model", "in/text/test.txt.xz"))
    yield Setting("plan", "opt", ("plan", "in/model", *CALIBRATION, *WIDTHS, "--measurements", "in/measured.json"))


SETTINGS = {setting.name: setting for setting in _all_settings()}
COMPRESSIONS = [name for name, setting in SETTINGS.items() if setting.arguments[0] == "compress"]
# Each rank needs memory of its own, beside the least.
RANKS = [name for name in COMPRESSIONS if LEAST_MEMORY not in SETTINGS[name].arguments]
WRITERS = [name for name, setting in SETTINGS.items() if setting.result]


def write_models(folder):
    """The dense models and texts of all settings, in folders opt, llama and text."""
    shutil.copytree(DEMO, folder / "opt", ignore=shutil.ignore_patterns("text", "README.md"))
    shutil.copytree(DEMO / "text", folder / "text")
    packed = lzma.compress((DEMO / "text" / "test.txt").read_bytes())
    (folder / "text" / "test.txt.xz").write_bytes(packed)
    config = json.loads((DEMO / "config.json").read_text(encoding="utf-8"))
    llama = random_models.SMALL | {"model_type": "llama", "hidden_size": 256, "intermediate_size": 256,
                                   "vocab_size": config["vocab_size"], "bos_token_id": config["bos_token_id"],
                                   "eos_token_id": config["eos_token_id"]}
    random_models.write_model(folder / "llama", llama, "F16")
    for path in DEMO.iterdir():
        if path.name in ("merges.txt", "vocab.json", "tokenizer_config.json", "special_tokens_map.json"):
            shutil.copy(path, folder / "llama" / path.name)
