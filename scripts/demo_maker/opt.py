"""The demo's model: OPT (Zhang et al., 2022) in plain PyTorch, its training and its files.

Module names are those of the Hugging Face checkpoint, so state_dict() is the file's content.
"""

import json
import math
import struct
import time

import torch
from torch import nn
from torch.nn import functional

HIDDEN, LAYERS, HEADS, FFN, POSITIONS = 128, 4, 4, 512, 256
BATCH = 16  # windows of a training step
POSITION_OFFSET = 2  # rows of embed_positions before position 0, as in OPT


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            self.add_module(name, nn.Linear(HIDDEN, HIDDEN))

    def forward(self, x):
        """(batch, tokens, HIDDEN) -> same shape; causal, scores scaled by head_dim^-0.5."""
        def heads(projection):
            return projection(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            heads(self.q_proj), heads(self.k_proj), heads(self.v_proj), is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.self_attn_layer_norm = nn.LayerNorm(HIDDEN)
        self.fc1 = nn.Linear(HIDDEN, FFN)
        self.fc2 = nn.Linear(FFN, HIDDEN)
        self.final_layer_norm = nn.LayerNorm(HIDDEN)

    def forward(self, x):
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(functional.relu(self.fc1(self.final_layer_norm(x))))


class Decoder(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, HIDDEN)
        self.embed_positions = nn.Embedding(POSITIONS + POSITION_OFFSET, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.final_layer_norm = nn.LayerNorm(HIDDEN)

    def forward(self, ids):
        positions = torch.arange(ids.shape[1]) + POSITION_OFFSET
        x = self.embed_tokens(ids) + self.embed_positions(positions)
        for layer in self.layers:
            x = layer(x)
        return self.final_layer_norm(x)


class Opt(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.model = nn.Module()
        self.model.decoder = Decoder(vocabulary)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "layer_norm" not in name:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids):
        """Logits (batch, tokens, vocabulary); the head is the embedding."""
        return functional.linear(self.model.decoder(ids), self.model.decoder.embed_tokens.weight)


def loss(model, windows):
    """Mean cross entropy in nats of tokens 2.. of each window; windows (batch, tokens) int64."""
    logits = model(windows)[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def learning_rate(step, steps, peak=3e-3, warmup=100):
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(ids, bos_id, vocabulary, steps, log):
    """A model trained for `steps` steps of AdamW on windows drawn from the token list `ids`."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    tokens = torch.tensor(ids)
    model = Opt(vocabulary)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.05)
    started = time.monotonic()
    for step in range(steps):
        starts = torch.randint(len(ids) - POSITIONS + 1, (BATCH, 1))
        windows = tokens[starts + torch.arange(POSITIONS)]
        windows[0, 0] = bos_id  # the first window of a text begins with BOS
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        optimizer.zero_grad()
        value = loss(model, windows)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step + 1 == steps:
            log(f"step {step} of {steps}: loss {value.item():.4f} nats, "
                f"{time.monotonic() - started:.0f} s")
    return model


def perplexity(model, ids):
    """exp of the mean over non-overlapping windows of POSITIONS tokens of their loss."""
    count = len(ids) // POSITIONS
    windows = torch.tensor(ids[:count * POSITIONS]).view(count, POSITIONS)
    with torch.inference_mode():
        losses = [loss(model, window[None]).item() for window in windows]
    return math.exp(math.fsum(losses) / count)


def config(vocabulary):
    """config.json of the model."""
    return json.dumps({
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "torch_dtype": "float16",
        "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "ffn_dim": FFN, "word_embed_proj_dim": HIDDEN, "vocab_size": vocabulary,
        "max_position_embeddings": POSITIONS, "activation_function": "relu",
        "do_layer_norm_before": True, "enable_bias": True, "layer_norm_elementwise_affine": True,
        "_remove_final_layer_norm": False, "tie_word_embeddings": True,
        "attention_dropout": 0.0, "dropout": 0.0, "layerdrop": 0.0, "init_std": 0.02,
        "use_cache": True, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2,
    }, indent=2) + "\n"


def safetensors(model):
    """The bytes of model.safetensors: every tensor in fp16, by name.

    Layout: length of the header as little-endian uint64, the JSON header padded with spaces to a
    multiple of 8, the tensors' bytes one after the other.
    """
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in sorted(model.state_dict().items()):
        blob = bytes(tensor.to(torch.float16).contiguous().view(torch.uint8).flatten().tolist())
        header[name] = {"dtype": "F16", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)
