#!/usr/bin/env python3
"""Prints what a compression should cost on a GPU, counted from operations and bytes.

Counts per stage what the program computes for a model's shape, divides by the device's rates times
the share of them that such kernels usually reach, and adds up. A stage costs the larger of its
arithmetic and its memory time. It is an expectation to hold measurements against, not a measurement.

Assumptions, all printed: the rates of one H200 (dense bfloat16 989 Tflop/s with float32 sums, float32
without TF32 67 Tflop/s, 4.8 TB/s, 25 GB/s from host to device); large 16-bit products reach 60 %,
float32 products 70 %, factorisations 15 % and streams 70 % of them; a column of the OBS loop takes
0.7 microseconds, because its steps follow one another, whatever the number of rows.
"""

import argparse

from random_models import SHAPES

BF16, FP32, MEMORY, HOST = 989e12, 67e12, 4.8e12, 25e9
OF_BF16, OF_FP32, OF_FACTOR, OF_MEMORY = 0.6, 0.7, 0.15, 0.7
COLUMN_SECONDS = 0.7e-6
BLOCK = 128


def sites(config):
    """(columns, [rows of every linear]) of the four inputs of a block, in forward order."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    pairs = hidden // heads * config.get("num_key_value_heads", heads)
    mlp = config.get("intermediate_size") or config["ffn_dim"]
    up = [mlp] if config["model_type"] == "opt" else [mlp, mlp]
    return [(hidden, [hidden, pairs, pairs]), (hidden, [hidden]), (hidden, up), (mlp, [hidden])]


def seconds(flops, rate, share, bytes_moved):
    return max(flops / (rate * share), bytes_moved / (MEMORY * OF_MEMORY))


def forward(config, tokens, seqlen):
    """One forward of a block in 16 bits: products, causal attention, reads and writes."""
    weights = sum(columns * sum(rows) for columns, rows in sites(config))
    attention = 2.0 * tokens * seqlen * config["hidden_size"]  # 2 products of half a square
    moved = 2.0 * (weights + tokens * sum(2 * c + sum(r) for c, r in sites(config)))
    return seconds(2.0 * tokens * weights + attention, BF16, OF_BF16, moved)


def stages(config, samples, seqlen, method):
    """Seconds of every stage over the whole model."""
    tokens, layers = samples * seqlen, config["num_hidden_layers"]
    wide = [columns for columns, _ in sites(config)]
    one = forward(config, tokens, seqlen)
    # Panels on and above the diagonal; sums are read and written once for every 8,192 tokens.
    moments = sum(seconds(tokens * n * (n + 256.0), BF16, OF_BF16,
                          2.0 * tokens * n + 8.0 * n * n * max(1.0, tokens / 8192)) for n in wide)
    factors = sum(seconds(2.0 / 3.0 * n**3, FP32, OF_FACTOR, 40.0 * n * n) for n in wide)
    loops = sum(len(rows) * n * COLUMN_SECONDS for n, rows in sites(config))
    tails = sum(seconds(r * n * n, FP32, OF_FP32, 8.0 * r * n * n / (2 * 1024))
                for n, rows in sites(config) for r in rows)
    measures = 2.0 * tails  # error and energy of the outputs: two products of half of H each
    grids = sum(seconds(0.0, FP32, 1.0, 40.0 * r * n) for n, rows in sites(config) for r in rows)
    table = {"load": 2.0 * sum(n * sum(r) for n, r in sites(config)) / HOST, "forward": 2.0 * one,
             "H": moments, "factor": factors, "column loop": loops, "tails": tails,
             "measures": measures, "masks, grids": grids}
    if method == "mi":
        # Three maps from H, and 30 products of an affinity with 16 columns.
        table["mi, clusters"] = sum(seconds(0.0, FP32, 1.0, (24.0 + 30 * 4.0) * n * n)
                                    for n in wide)
    if method == "rd":
        drift = sum(seconds(4.0 * tokens * n * n, BF16, OF_BF16, 8.0 * tokens * n) for n in wide)
        # A measuring walk before the compressing one: forward, H, factors and, of the 4 sparsities
        # and 3 widths a linear, sweeps. Then 8 sweeps of descent, each as dear as a tail.
        table["forward"] += 2.0 * one
        table["drift"] = drift
        table["measuring"] = moments + factors + 7.0 * (loops + tails)
        table["descent"] = 8.0 * (loops + 2.0 * tails)
    return {name: layers * value for name, value in table.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", default=["llama-7b", "vicuna-13b"], choices=SHAPES)
    parser.add_argument("--samples", nargs="+", type=int, default=[16, 128])
    parser.add_argument("--seqlen", type=int, default=2048)
    arguments = parser.parse_args()
    print(__doc__[__doc__.index("Assumptions"):])
    for model in arguments.models:
        for samples in arguments.samples:
            print(f"{model}, {samples} samples of {arguments.seqlen} tokens, expected seconds on "
                  "one H200")
            for method in ("sparsegpt", "mi", "rd"):
                table = stages(SHAPES[model], samples, arguments.seqlen, method)
                parts = "  ".join(f"{name} {value:.1f}" for name, value in table.items()
                                  if value >= 0.05)
                print(f"  {method:10}{sum(table.values()):8.1f}   {parts}")
            print()


if __name__ == "__main__":
    main()
