"""Self-test of scripts/time_device.py: what its lines say of a report."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import time_device  # noqa: E402  (the path above comes first)

REPORT = {"timings": {"total": 20.0, "compress": 19.0, "load": 1.0, "calibrate": 2.0, "propagate": 1.0,
                      "factor": 2.0, "obs": 6.0, "obs_sweep": 5.0},
          "operations": {"forward": 4e14, "H": 2e14, "OBS": 2e14},
          "peak_bytes": {"host": 1, "device": 2, "planned": {"host": 3, "device": 16_000_000_000}}}
RATES = {"product_float16": 3e14, "product_float32": 5e13}


class Lines(unittest.TestCase):
    def test_a_stage_that_is_part_of_another_counts_once(self):
        seconds, stages = time_device.stages_of(REPORT["timings"], ("factor", "obs"))
        self.assertEqual(seconds, 8.0)
        self.assertEqual(sorted(stages), ["factor", "obs", "obs_sweep"])

    def test_floors_are_counted_operations_over_measured_rates(self):
        walk = time_device.part_line("walk", REPORT, RATES).split()
        self.assertEqual(walk[:4], ["walk", "4.0", "2.0", "50%"])
        matrices = time_device.part_line("matrices", REPORT, RATES).split()
        self.assertEqual(matrices[:4], ["matrices", "8.0", "4.0", "50%"])

    def test_a_run_stands_beside_its_target_and_its_plan(self):
        line = time_device.run_line("vicuna-13b", "mi", 16, REPORT, 15_200_000_000)
        self.assertEqual(line.split(), ["vicuna-13b", "mi", "16", "20.0", "60", "15.2", "16.0", "95%"])
        unseen = time_device.run_line("vicuna-13b", "mi", 16, REPORT, None)
        self.assertEqual(unseen.split()[5:], ["-", "16.0", "-"])


if __name__ == "__main__":
    unittest.main()
