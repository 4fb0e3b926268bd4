#!/usr/bin/env python3
"""Writes a model of random weights in the shape of a published one, for measuring speed.

The folder is one that `sgpt-mi compress` and transformers read: config.json and safetensors shards,
one for each block and one for the rest. Weights are normal with the spread that the architecture
starts training from (0.02), norms are ones; every tensor has its own random stream, named by the
tensor, so a name, a shape and --seed always give the same bytes. No more than one tensor is in
memory at a time. There is no tokenizer: calibrate with recorded windows, which --windows writes
beside the model. Needs the Python package numpy.
"""

import argparse
import json
import math
import pathlib
import sys
import zlib

from model_shapes import SHAPES, SPREAD

try:
    import numpy
except ImportError:
    sys.exit("make_random_model: the Python package numpy is missing; use .venv/bin/python after "
             "scripts/setup --dev, or install it")

DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def opt_tensors(config):
    """The shards of an OPT checkpoint: a list of {name: shape}, first what belongs to no block."""
    hidden, mlp = config["hidden_size"], config["ffn_dim"]
    base = "model.decoder."
    norm = {"weight": (hidden,), "bias": (hidden,)}
    ends = {base + "embed_tokens.weight": (config["vocab_size"], config["word_embed_proj_dim"]),
            base + "embed_positions.weight": (config["max_position_embeddings"] + 2, hidden)}
    ends |= {f"{base}final_layer_norm.{part}": shape for part, shape in norm.items()}
    blocks = []
    for layer in range(config["num_hidden_layers"]):
        block = f"{base}layers.{layer}."
        shapes = {f"self_attn.{name}_proj": (hidden, hidden) for name in ("q", "k", "v", "out")}
        shapes |= {"fc1": (mlp, hidden), "fc2": (hidden, mlp)}
        tensors = {}
        for name, shape in shapes.items():
            tensors |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            tensors |= {f"{block}{name}.{part}": shape for part, shape in norm.items()}
        blocks.append(tensors)
    return [ends, *blocks]


def llama_tensors(config):
    """The same of a LLaMA checkpoint."""
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    pairs = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    table = (config["vocab_size"], hidden)
    ends = {"model.embed_tokens.weight": table, "model.norm.weight": (hidden,),
            "lm_head.weight": table}
    linears = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (pairs, hidden),
               "self_attn.v_proj": (pairs, hidden), "self_attn.o_proj": (hidden, hidden),
               "mlp.gate_proj": (mlp, hidden), "mlp.up_proj": (mlp, hidden),
               "mlp.down_proj": (hidden, mlp), "input_layernorm": (hidden,),
               "post_attention_layernorm": (hidden,)}
    return [ends, *({f"model.layers.{layer}.{name}.weight": shape
                     for name, shape in linears.items()}
                    for layer in range(config["num_hidden_layers"]))]


def value_bytes(name, shape, dtype, seed):
    """The bytes of one tensor."""
    if "norm" in name:
        values = numpy.full(shape, 0.0 if name.endswith("bias") else 1.0, numpy.float32)
    else:
        stream = numpy.random.Generator(numpy.random.Philox(
            numpy.random.SeedSequence([seed, zlib.crc32(name.encode())])))
        values = stream.standard_normal(shape, numpy.float32)
        values *= SPREAD
    if dtype == "bfloat16":
        bits = values.view(numpy.uint32)
        bits += 0x7FFF + ((bits >> 16) & 1)  # to nearest, half to even; the values are finite
        return (bits >> 16).astype("<u2").tobytes()
    return values.astype("<f2" if dtype == "float16" else "<f4", copy=False).tobytes()


def write_safetensors(path, tensors, dtype, make_bytes):
    """One safetensors file; make_bytes(name, shape) is asked for tensor after tensor."""
    width = 4 if dtype in ("float32", "int32") else 2
    header, place = {}, 0
    for name, shape in tensors.items():
        end = place + width * math.prod(shape)
        header[name] = {"dtype": DTYPES.get(dtype, "I32"), "shape": list(shape),
                        "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors.items():
            file.write(make_bytes(name, shape))
    return place


def write_model(folder, config, dtype, seed):
    """All files of the model; the index last, so a folder with one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config | {"torch_dtype": dtype}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    shards = opt_tensors(config) if config["model_type"] == "opt" else llama_tensors(config)
    places, total = {}, 0
    for number, tensors in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write_safetensors(folder / name, tensors, dtype,
                                   lambda key, shape: value_bytes(key, shape, dtype, seed))
        places |= dict.fromkeys(tensors, name)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n",
                                                         encoding="utf-8")


def write_windows(path, vocabulary, windows, seqlen, seed):
    """Random token ids in the form of recorded windows."""
    stream = numpy.random.Generator(numpy.random.Philox(seed))
    ids = stream.integers(4, vocabulary, (windows, seqlen), numpy.int32)
    write_safetensors(path, {"input_ids": ids.shape}, "int32",
                      lambda *_: ids.astype("<i4").tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--dtype", choices=DTYPES, default="float16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, help="fewer blocks than the shape has")
    parser.add_argument("--windows", metavar="COUNTxLENGTH",
                        help="also write windows.safetensors with this many random token ids, "
                        "e.g. 16x2048")
    arguments = parser.parse_args()
    config = SHAPES[arguments.shape]
    if arguments.layers:
        config = config | {"num_hidden_layers": arguments.layers}
    write_model(arguments.folder, config, arguments.dtype, arguments.seed)
    if arguments.windows:
        windows, seqlen = map(int, arguments.windows.split("x"))
        write_windows(arguments.folder / "windows.safetensors", config["vocab_size"], windows,
                      seqlen, arguments.seed)


if __name__ == "__main__":
    main()
