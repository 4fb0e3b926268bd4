"""Byte-level BPE as GPT-2 and OPT use it: training, encoding, and the files of an OPT repository.

The texts of the demo are ASCII, so the GPT-2 split pattern is written with ASCII classes here.
"""

import collections
import json
import re

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3, as in OPT
BOS_ID = 2
SPLIT = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_symbols():
    """The printable character that stands for each byte (Radford et al., 2019, GPT-2's code)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1),
                 *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    symbols.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return symbols


SYMBOLS = byte_symbols()


def split_words(text):
    """Pre-tokens of an ASCII text, each a tuple of symbols."""
    for word in SPLIT.findall(text):
        yield tuple(SYMBOLS[byte] for byte in word.encode("ascii"))


def join_pair(word, pair):
    """`word` with every occurrence of `pair`, left to right, made one symbol."""
    joined, i = [], 0
    while i < len(word):
        if word[i:i + 2] == pair:
            joined.append(word[i] + word[i + 1])
            i += 2
        else:
            joined.append(word[i])
            i += 1
    return tuple(joined)


def train_merges(text, count):
    """The `count` merges of most frequent pairs, in order; equal counts: the smaller pair first."""
    frequencies = collections.Counter(split_words(text))
    words = [[word, frequency] for word, frequency in sorted(frequencies.items())]
    totals, places = collections.Counter(), collections.defaultdict(set)

    def account(index, sign):
        word, frequency = words[index]
        for pair in zip(word, word[1:]):
            totals[pair] += sign * frequency
            places[pair].add(index)

    for index in range(len(words)):
        account(index, 1)
    merges = []
    while len(merges) < count:
        best = min(totals, key=lambda pair: (-totals[pair], pair))
        merges.append(best)
        for index in places.pop(best):
            account(index, -1)
            words[index][0] = join_pair(words[index][0], best)
            account(index, 1)
        del totals[best]
    return merges


class Tokenizer:
    """Encodes text with trained merges. Ids: special tokens, bytes, merges."""

    def __init__(self, merges):
        self.merges = merges
        tokens = [*SPECIAL_TOKENS, *SYMBOLS.values(), *(left + right for left, right in merges)]
        self.vocabulary = {token: index for index, token in enumerate(tokens)}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._cache = {}

    def encode(self, text):
        """Ids of the text with BOS in front once."""
        ids = [BOS_ID]
        for word in split_words(text):
            if word not in self._cache:
                self._cache[word] = [self.vocabulary[token] for token in self._merge(word)]
            ids.extend(self._cache[word])
        return ids

    def _merge(self, word):
        while len(word) > 1:
            unranked = len(self._ranks)
            best = min(zip(word, word[1:]), key=lambda pair: self._ranks.get(pair, unranked))
            if best not in self._ranks:
                break
            word = join_pair(word, best)
        return word

    def files(self):
        """File name -> text, as an OPT repository has them."""
        merges = "".join(f"{left} {right}\n" for left, right in self.merges)
        special = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>",
                   "pad_token": "<pad>"}
        special = {role: {"content": token, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": True} for role, token in special.items()}
        config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False,
                  "add_bos_token": True, "errors": "replace"}
        config.update({role: {**token, "__type": "AddedToken"} for role, token in special.items()})
        return {
            "vocab.json": json.dumps(self.vocabulary, ensure_ascii=False, separators=(",", ":")),
            "merges.txt": "#version: 0.2\n" + merges,
            "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
            "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        }
