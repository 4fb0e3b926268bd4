#!/usr/bin/env python3
"""scripts/compare_devices.py on small models written here."""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "compare_devices.py"


def write_model(folder, weights, kl):
    """A folder with one 2 x 2 float32 matrix and a bias, and the report beside it."""
    folder.mkdir()
    header = {"a.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
              "a.bias": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]}}
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + struct.pack("<6f", *weights, 0.0, 1.0)
    (folder / "model.safetensors").write_bytes(data)
    report = {"perplexity": {"set": {"compressed": {"kl_mean": kl}}}}
    pathlib.Path(f"{folder}.json").write_text(json.dumps(report), encoding="utf-8")


def compare(first, second, mask_limit, *further):
    """What the program says of two (weights, KL), and its exit code."""
    with tempfile.TemporaryDirectory() as name:
        folders = [pathlib.Path(name) / "first", pathlib.Path(name) / "second"]
        for folder, model in zip(folders, (first, second), strict=True):
            write_model(folder, *model)
        run = subprocess.run(
            [sys.executable, PROGRAM, *folders, "--mask-limit", str(mask_limit), *further],
            capture_output=True, text=True, check=False)
        return run.stdout + run.stderr, run.returncode


class CompareDevices(unittest.TestCase):
    """Both limits, and that -0 is a zero."""

    def test_equal_models(self):
        models = ([0.0, 1.0, -0.0, 2.0], 0.5), ([-0.0, 3.0, 0.0, 4.0], 0.5)
        text, code = compare(*models, 0, "--kl-limit", "0")
        self.assertEqual(code, 0, text)
        self.assertIn("zeros apart 0.00000", text)

    def test_masks_apart(self):
        # Zeros at 0, 2 and at 0, 3: two of three places differ.
        models = ([0.0, 1.0, 0.0, 2.0], 0.5), ([0.0, 1.0, 2.0, 0.0], 0.9)
        text, code = compare(*models, 0.6)
        self.assertEqual(code, 1)
        self.assertIn("zeros apart 0.66667", text)
        self.assertEqual(compare(*models, 0.7)[1], 0)

    def test_divergences_apart(self):
        models = ([0.0, 1.0, 0.0, 2.0], 0.50), ([0.0, 1.0, 0.0, 2.0], 0.51)
        self.assertEqual(compare(*models, 0, "--kl-limit", "0.01")[1], 1)
        self.assertEqual(compare(*models, 0, "--kl-limit", "0.03")[1], 0)


if __name__ == "__main__":
    unittest.main()
