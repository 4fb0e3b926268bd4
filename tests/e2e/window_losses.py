"""Mean cross entropy of the first windows of a text, by transformers, float32, as a JSON list.

Usage: window_losses.py MODEL TEXT SEQLEN WINDOWS
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, path, seqlen, windows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=False)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with open(path, encoding="utf-8", newline="") as file:
    ids = tokenizer(file.read(), return_tensors="pt").input_ids[0]
losses = []
with torch.no_grad():
    for start in range(0, windows * seqlen, seqlen):
        window = ids[start : start + seqlen]
        logits = model(window[None]).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, window[1:]).item())
print(json.dumps(losses))
