#!/usr/bin/env python3
"""Holds two compressed copies of a model against each other: where their zeros are, how they score.

Called by scripts/gpu_check for runs on the CPU and on a GPU. Prints one line; the exit code is 1
when a difference is above its limit. Needs nothing but Python.
"""

import argparse
import array
import json
import pathlib
import sys

# Array type and the bits that are not the sign, by safetensors' name of the type.
TYPES = {"F32": ("I", 0x7FFFFFFF), "F16": ("H", 0x7FFF), "BF16": ("H", 0x7FFF)}


def zero_flags(folder):
    """For every matrix of the model, by name: one byte for each weight, 1 where it is 0."""
    flags = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        data = path.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:start]).items():
            if name == "__metadata__" or len(entry["shape"]) != 2 or entry["dtype"] not in TYPES:
                continue
            code, magnitude = TYPES[entry["dtype"]]
            begin, end = (start + offset for offset in entry["data_offsets"])
            values = array.array(code, data[begin:end])
            flags[name] = bytes(value & magnitude == 0 for value in values)
    if not flags:
        sys.exit(f"compare_devices: {folder} has no matrices in *.safetensors")
    return flags


def masks_apart(first, second):
    """The share of positions that are 0 in only one model, of those that are 0 in either."""
    if first.keys() != second.keys():
        sys.exit("compare_devices: the models have different tensors")
    apart = either = 0
    for name, flags in first.items():
        both = sum(a & b for a, b in zip(flags, second[name], strict=True))
        zeros = sum(flags) + sum(second[name])
        apart += zeros - 2 * both
        either += zeros - both
    return apart / either if either else 0.0


def divergence(report):
    """The compressed model's mean KL divergence from the dense one on the run's one evaluation set."""
    (result,) = json.loads(pathlib.Path(report).read_text(encoding="utf-8"))["perplexity"].values()
    return result["compressed"]["kl_mean"]


def main():
    """The comparison that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("first", help="folder of a saved model; its report is beside it, .json")
    parser.add_argument("second")
    parser.add_argument("--mask-limit", type=float, required=True, metavar="SHARE",
                        help="of the zeros that only one model has")
    parser.add_argument("--kl-limit", type=float, metavar="SHARE",
                        help="of the relative difference of the divergences; without it nothing was evaluated")
    arguments = parser.parse_args()
    apart = masks_apart(zero_flags(arguments.first), zero_flags(arguments.second))
    good = apart <= arguments.mask_limit
    text = f"zeros apart {apart:.5f} (limit {arguments.mask_limit})"
    if arguments.kl_limit is not None:
        first, second = (divergence(f"{folder}.json") for folder in (arguments.first, arguments.second))
        difference = abs(second - first) / first
        good = good and difference <= arguments.kl_limit
        text += f", KL {first:.4f} and {second:.4f}, {difference:.4f} apart (limit {arguments.kl_limit})"
    print(f"{'ok  ' if good else 'FAIL'}  {text}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
