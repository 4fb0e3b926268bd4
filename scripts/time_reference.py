#!/usr/bin/env python3
"""Prints the seconds that the original SparseGPT script takes to compress a model, on the CPU or a GPU.

DIR is a checkout of the published script (opt.py, llama.py, sparsegpt.py); nothing of it is
changed: its *_sequential function is called with the recorded calibration windows, and only that
call is timed. Prints one line for each run. On a CPU the model is in float32, on a GPU in its stored
type, as the script has it. Needs the Python packages torch, transformers and safetensors. Called by
scripts/time_compression.py and scripts/time_device.py, --reference.
"""

import argparse
import contextlib
import io
import pathlib
import sys
import time
import types

import safetensors.torch
import torch
import transformers


class ReferenceArguments:
    """What the script's module-level `args` holds."""

    minlayer, maxlayer, prune_only, invert = -1, 1000, "", False
    percdamp = 0.01


def load_module(folder, family, device):
    """The script's module for the family, made to run without wandb, datasets and, on a CPU, CUDA."""
    sys.path.insert(0, str(folder))
    # The windows come from a file, not from its loaders.
    sys.modules["datautils"] = types.ModuleType("datautils")
    if device == "cpu":
        torch.cuda.synchronize = lambda *_: None
    return __import__(family)


def bind_positions(model, device):
    """Gives every LLaMA layer the rotary tables that the model passes since transformers 4.48."""
    rotary = model.model.rotary_emb.to(device)
    for layer in model.model.layers:
        def forward(hidden, *positional, inner=layer.forward, **named):
            places = torch.arange(hidden.shape[1], device=hidden.device).unsqueeze(0)
            named["position_embeddings"] = rotary(hidden, places)
            return inner(hidden, *positional, **named)
        layer.forward = forward


def parse_arguments():
    """The command line; its values double as the `args` that the script reads."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("reference", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--windows", type=pathlib.Path, required=True,
                        help="safetensors file with input_ids (windows, seqlen)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--sparsity", type=float, default=0.0)
    parser.add_argument("--prunen", type=int, default=0)
    parser.add_argument("--prunem", type=int, default=0)
    parser.add_argument("--wbits", type=int, default=16)
    parser.add_argument("--blocksize", type=int, default=128)
    parser.add_argument("--true_sequential", action="store_true")
    parser.parse_args(namespace=ReferenceArguments)
    return ReferenceArguments


def compress_seconds(compress, family, arguments, ids):
    """Seconds of one call of the script's *_sequential function on a freshly read model."""
    dtype = torch.float32 if arguments.device == "cpu" else "auto"
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype)
    model.seqlen = ids.shape[1]
    if family == "llama":
        bind_positions(model, arguments.device)
    loader = ids.unsqueeze(1).unsqueeze(1)
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        compress(model, loader, torch.device(arguments.device))
    return time.perf_counter() - began


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    ids = safetensors.torch.load_file(arguments.windows)["input_ids"].to(torch.int64)
    arguments.nsamples = len(ids)
    family = transformers.AutoConfig.from_pretrained(arguments.model).model_type
    module = load_module(arguments.reference.resolve(), family, arguments.device)
    module.args = arguments
    compress = getattr(module, f"{family}_sequential")
    for _ in range(arguments.runs):
        print(f"{compress_seconds(compress, family, arguments, ids):.3f}", flush=True)


if __name__ == "__main__":
    main()
