"""Changes of a file's bytes at which readers go wrong; tests/fuzz/mutations.cpp does the like in a reader's process."""

import random
import re

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63,
           (1 << 64) - 1)
DECIMALS = (b"0", b"-1", b"1", b"1e308", b"-1e999", b"0.1", b"9223372036854775807", b"18446744073709551616",
            b"4294967296", b"null", b'"a"', b"[]")
TEXTS = (b'"', b"{", b"}", b"[", b"]", b"\\ud800", b"\xff", b"(?:a+)+$", b"\xe2\x96", b',"a":')


def _flip(data, stream):
    if data:
        data[stream.randrange(len(data))] ^= 1 << stream.randrange(8)


def _number(data, stream):
    width = 1 << stream.randrange(4)
    if len(data) >= width:
        at = stream.randrange(len(data) - width + 1)
        value = stream.choice((*NUMBERS, len(data) + stream.randrange(-8, 9)))
        data[at:at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def _decimal(data, stream):
    found = re.compile(rb"[0-9]+").search(data, stream.randrange(len(data) + 1))
    if found:
        data[found.start():found.end()] = stream.choice(DECIMALS)


def _text(data, stream):
    at = stream.randrange(len(data) + 1)
    data[at:at] = stream.choice(TEXTS) * (50_000 if stream.randrange(50) == 0 else stream.randint(1, 3))


def _stretch(data, stream):
    if data:
        begin, to = stream.randrange(len(data)), stream.randrange(len(data))
        part = data[begin:begin + stream.randint(1, 64)]
        data[to:to + stream.choice((0, len(part)))] = stream.choice((part, b""))


def _cut(data, stream):
    del data[stream.randrange(len(data) + 1):]


def mutated(data, seed):
    """`data` with one to four changes, half of them among the first bytes, where headers are."""
    stream = random.Random(seed)
    data = bytearray(data)
    for _ in range(stream.randint(1, 4)):
        change = stream.choice((_flip, _number, _decimal, _decimal, _text, _stretch, _stretch, _cut))
        if stream.random() < 0.5 and change is not _cut:
            head = data[:2000]
            change(head, stream)
            data[:2000] = head
        else:
            change(data, stream)
    return bytes(data)
