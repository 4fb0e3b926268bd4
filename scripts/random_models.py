"""Random models and texts for measuring speed: shapes of published models, and token ids."""

import array
import json
import pathlib
import random

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By name what is particular to a shape; `sgpt-mi` takes MODEL random:NAME from the same file.
SHAPES = json.loads((ROOT / "configs" / "model_shapes.json").read_text(encoding="utf-8"))
OPT_VOCABULARY = 50272


def opt_folder(folder, name, layers):
    """MODEL for an OPT of a named shape with another number of blocks: its weights are made up."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"vocab_size": OPT_VOCABULARY, "max_position_embeddings": 2048, **SHAPES[name],
              "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return f"random:{folder}"


def write_windows(path, vocabulary, windows, seqlen):
    """Random token ids in the form of recorded windows: a safetensors file with input_ids."""
    stream = random.Random(0)
    ids = array.array("i", (stream.randrange(vocabulary) for _ in range(windows * seqlen)))
    header = json.dumps({"input_ids": {"dtype": "I32", "shape": [windows, seqlen],
                                       "data_offsets": [0, 4 * len(ids)]}}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + ids.tobytes())
