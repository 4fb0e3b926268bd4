#!/usr/bin/env python3
"""GGUF files of sgpt-mi beside those of llama-quantize, at no more bytes: KL to the dense model.

    scripts/compare_llama_cpp.py MODEL.gguf --data DIR [--llama_cpp DIR --calibration FILE] [--types ...]

For every type of llama-quantize: the bytes of its file are the target of `sgpt-mi compress --format
gguf --target_bytes` with the embedding at Q8_0, calibrated on 64 windows of 512 tokens of C4. Both
are scored by `sgpt-mi eval --dense MODEL`: weights in float32, 24 windows of 512 of WikiText-2.
Without --llama_cpp its rows are recorded ones (golden/llama_cpp/README.md of the shared data) and
hold for the pad3 variant of SmolLM2-135M alone; with it llama-imatrix and
llama-quantize make their files here, from the same C4 text. Prints a Markdown table. About 15
minutes a type on two cores, and the files of one type on the disk.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "sgpt-mi"
SCORED = ["--eval", "wikitext2", "--seqlen", "512", "--eval_windows", "24", "--quiet"]

# Of pad3, by our own meter: golden/llama_cpp/README.md, last table.
RECORDED = {"Q2_K": (98_391_136, 0.986), "Q3_K_S": (107_975_776, 0.604),
            "Q3_K_M": (116_005_984, 0.294), "IQ4_XS": (123_550_816, 0.141),
            "Q4_K_M": (133_310_560, 0.078)}


def run(*command):
    finished = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        sys.exit(f"{command[0]} failed: {finished.stderr.strip()[-2000:]}")
    return finished.stdout


def divergence(report):
    figures = json.loads(report.read_text())["perplexity"]["wikitext2"]["compressed"]
    return figures["kl_mean"], figures["kl_stderr"]


def score(arguments, file, folder):
    report = folder / "eval.json"
    run(PROGRAM, "eval", file, "--dense", arguments.model, "--data-dir", arguments.data, *SCORED,
        "--report", report)
    return divergence(report)


class Anchor:
    """Files of llama-quantize, made here or known."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.matrix = folder / "imatrix.gguf"
        if arguments.llama_cpp:
            run(arguments.llama_cpp / "llama-imatrix", "-m", arguments.model, "-f",
                arguments.calibration, "-o", self.matrix, "-c", "512", "--chunks", "48", "--no-ppl")

    def row(self, kind):
        if not self.arguments.llama_cpp:
            size, kl = RECORDED[kind]
            return size, kl, "recorded"
        file = self.folder / "anchor.gguf"
        run(self.arguments.llama_cpp / "llama-quantize", "--imatrix", self.matrix,
            "--output-tensor-type", "q8_0", "--token-embedding-type", "q8_0",
            self.arguments.model, file, kind)
        kl, error = score(self.arguments, file, self.folder)
        return file.stat().st_size, kl, f"± {error:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--llama_cpp", type=pathlib.Path, help="folder of llama.cpp's tools")
    parser.add_argument("--calibration", type=pathlib.Path, help="text for llama-imatrix")
    parser.add_argument("--types", nargs="+", default=list(RECORDED))
    arguments, further = parser.parse_known_args()  # what else there is goes to compress
    if arguments.llama_cpp and not arguments.calibration:
        parser.error("--llama_cpp needs --calibration FILE, the text of the C4 lines")
    print("| type | file bytes | llama-quantize KL | ours, bytes | ours KL | ratio |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        anchor = Anchor(arguments, folder)
        for kind in arguments.types:
            size, kl, note = anchor.row(kind)
            file, report = folder / "ours.gguf", folder / "report.json"
            run(PROGRAM, "compress", arguments.model, "c4", "--data-dir", arguments.data,
                "--nsamples", "64", "--format", "gguf", "--target_bytes", size, "--gguf_types",
                "token_embd=Q8_0", "--measurements", folder / "measured.json", "--save", file,
                "--report", report, *SCORED, *further)
            own, error = divergence(report)
            taken = file.stat().st_size
            assert taken <= size, f"{taken} bytes for a target of {size}"
            print(f"| {kind} | {size:,} | {kl:.4f} {note} | {taken:,} | {own:.4f} ± {error:.4f} | "
                  f"{own / kl:.2f} |", flush=True)


if __name__ == "__main__":
    main()
