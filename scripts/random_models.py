"""Random models, texts and token ids: for timings, and for the checks of other programs."""

import array
import json
import pathlib
import random
import shutil
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By name what is particular to a shape; `sgpt-mi` takes MODEL random:NAME from the same file.
SHAPES = json.loads((ROOT / "configs" / "model_shapes.json").read_text(encoding="utf-8"))
OPT_VOCABULARY = 50272

SMALL = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "hidden_act": "silu",
         "rope_theta": 10000.0, "tie_word_embeddings": False}
# Of the published tokenizers (a folder of files each): ids, first and last special one.
TOKENIZERS = {"llama2": {"vocab_size": 32000, "bos_token_id": 1, "eos_token_id": 2},
              "llama3_2": {"vocab_size": 128256, "bos_token_id": 128000, "eos_token_id": 128001},
              "qwen2_5": {"vocab_size": 151936, "bos_token_id": 151643, "eos_token_id": 151643},
              "gpt2": {"vocab_size": 50257, "bos_token_id": 50256, "eos_token_id": 50256}}
# A small model of every family: its tokenizer, the type of its weights, what its configuration has.
FAMILIES = {
    "llama-sentencepiece": ("llama2", "F32", {"model_type": "llama"}),
    "llama-bfloat16": ("llama2", "BF16", {"model_type": "llama"}),
    "llama-tied-rope3": ("llama3_2", "F16", {
        "model_type": "llama", "tie_word_embeddings": True, "rope_theta": 500000.0, "head_dim": 32,
        "rope_scaling": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 64}}),
    "llama-gpt2": ("gpt2", "F32", {"model_type": "llama", "rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
    # llama.cpp knows no window in this family: it agrees on windows of up to as many tokens.
    "mistral-window": ("llama2", "F16", {"model_type": "mistral", "sliding_window": 64, "head_dim": 16}),
    "qwen2-biases-tied": ("qwen2_5", "F16", {"model_type": "qwen2", "tie_word_embeddings": True,
                                             "rope_theta": 1000000.0, "rms_norm_eps": 1e-6}),
    "qwen3-norms": ("qwen2_5", "F16", {"model_type": "qwen3", "head_dim": 32, "rope_theta": 1000000.0,
                                       "rms_norm_eps": 1e-6}),
    "qwen3-yarn-tied": ("qwen2_5", "F32", {
        "model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": True,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}}),
}


def opt_folder(folder, name, layers):
    """MODEL for an OPT of a named shape with another number of blocks: its weights are made up."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"vocab_size": OPT_VOCABULARY, "max_position_embeddings": 2048, **SHAPES[name],
              "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return f"random:{folder}"


def write_tensors(path, tensors):
    """A safetensors file of {name: (type, shape, bytes)}; data begin at a multiple of 64 bytes."""
    header, end = {}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, _, data in tensors.values():
            file.write(data)


def write_ids(path, windows):
    """Token ids, lists of equal length, in the form of recorded windows."""
    ids = array.array("i", (token for window in windows for token in window))
    write_tensors(path, {"input_ids": ("I32", [len(windows), len(windows[0])], ids.tobytes())})


def write_windows(path, vocabulary, windows, seqlen):
    """Random token ids in the form of recorded windows."""
    stream = random.Random(0)
    write_ids(path, [[stream.randrange(vocabulary) for _ in range(seqlen)] for _ in range(windows)])


def shapes_of(config):
    """{name: shape} of the tensors of a LLaMA-family configuration."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    size = config.get("head_dim", hidden // heads)
    queries, keys = heads * size, config["num_key_value_heads"] * size
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [config["vocab_size"], hidden]
    block = {"input_layernorm": [hidden], "post_attention_layernorm": [hidden], "self_attn.q_proj": [queries, hidden],
             "self_attn.k_proj": [keys, hidden], "self_attn.v_proj": [keys, hidden],
             "self_attn.o_proj": [hidden, queries], "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
             "mlp.down_proj": [hidden, inner]}
    if config["model_type"] == "qwen3":
        block |= {"self_attn.q_norm": [size], "self_attn.k_norm": [size]}
    for layer in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in block.items()}
        if config["model_type"] == "qwen2":
            shapes |= {f"model.layers.{layer}.self_attn.{name}_proj.bias": block[f"self_attn.{name}_proj"][:1]
                       for name in "qkv"}
    return shapes


class Draws:
    """Normal draws as bytes of one type; rows begin anywhere in a pool, which takes little time."""

    COUNT = 1 << 16

    def __init__(self, kind, seed):
        self.stream = random.Random(seed)
        self.kind = kind
        self.width = {"F32": 4, "F16": 2, "BF16": 2}[kind]
        self.normal = [self.stream.gauss(0, 1) for _ in range(self.COUNT)]
        self.pools = {}

    def packed(self, values):
        if self.kind == "F16":
            return struct.pack(f"<{len(values)}e", *values)
        wide = struct.pack(f"<{len(values)}f", *values)
        return wide if self.kind == "F32" else b"".join(wide[at + 2:at + 4] for at in range(0, len(wide), 4))

    def rows(self, count, columns, mean, deviation):
        pool = self.pools.get((mean, deviation))
        if pool is None:
            pool = self.pools[mean, deviation] = self.packed([mean + deviation * x for x in self.normal])
        places = (self.stream.randrange(self.COUNT - columns) * self.width for _ in range(count))
        return b"".join(pool[place:place + columns * self.width] for place in places)


def write_model(folder, config, kind="F32", seed=1):
    """A LLaMA-family folder without a tokenizer. Its logits are about as far apart as a trained model's."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    draws, tensors = Draws(kind, seed), {}
    for name, shape in shapes_of(config).items():
        if name.endswith("bias"):
            data = draws.rows(1, shape[0], 0.0, 0.3)
        elif len(shape) == 1:
            data = draws.rows(1, shape[0], 1.0, 0.2)
        else:
            head = name.startswith("lm_head") or (name.startswith("model.embed") and config["tie_word_embeddings"])
            data = draws.rows(*shape, 0.0, (2 if head else 1) * shape[1] ** -0.5)
        tensors[name] = (kind, shape, data)
    write_tensors(folder / "model.safetensors", tensors)


def write_family(folder, name, tokenizers):
    """The small model of that name in FAMILIES; TOKENIZERS' folders lie in `tokenizers`."""
    tokenizer, kind, particular = FAMILIES[name]
    write_model(folder, {**SMALL, **TOKENIZERS[tokenizer], **particular}, kind)
    for file in (tokenizers / tokenizer).iterdir():
        shutil.copyfile(file, folder / file.name)
