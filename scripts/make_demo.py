#!/usr/bin/env python3
"""Makes scripts/demo_model: the embedded demo's texts, tokenizer and trained OPT model.

    .venv/bin/python scripts/make_demo.py           everything (about ten minutes on one core)
    python3 scripts/make_demo.py --check            compares texts and tokenizer with the committed
                                                    ones (seconds, needs no packages)

A grammar (demo_maker/lexicon.py, stories.py) writes stories; their first part trains a byte-level
BPE (bpe.py), all of them a small OPT model (opt.py). text/train.txt, the text to calibrate on, is
the beginning of the training stories; text/test.txt comes from the same grammar and another seed.

The same seed gives the same texts and tokenizer everywhere, and the same model bytes on the same
machine with the same torch; another machine may round sums differently, which training amplifies
to a model of equal quality with other bytes.
"""

import argparse
import collections
import math
import pathlib
import sys

from demo_maker import bpe
from demo_maker.draw import Draw
from demo_maker.lexicon import Lexicon
from demo_maker.stories import write_stories

SEED = "sgpt-mi demo"
VOCABULARY = 2048
TRAINING_CHARACTERS = 40_000_000   # about 9 million tokens
TOKENIZER_CHARACTERS = 2_000_000   # part of the above that the merges are counted on
CALIBRATION_CHARACTERS = 400_000   # part of the above that is committed as train.txt
TEST_CHARACTERS = 120_000
THREADS = 1  # the split of a sum over threads decides its rounding
DEMO = pathlib.Path(__file__).resolve().parent / "demo_model"


def training_text(lexicon, characters):
    return write_stories(lexicon, Draw(f"{SEED} train"), characters)


def text_files(lexicon):
    """File name -> text of the committed texts."""
    return {
        "text/train.txt": training_text(lexicon, CALIBRATION_CHARACTERS),
        "text/test.txt": write_stories(lexicon, Draw(f"{SEED} test"), TEST_CHARACTERS),
    }


def make_tokenizer(lexicon):
    merges = VOCABULARY - len(bpe.SPECIAL_TOKENS) - len(bpe.SYMBOLS)
    return bpe.Tokenizer(bpe.train_merges(training_text(lexicon, TOKENIZER_CHARACTERS), merges))


def unigram_perplexity(train_ids, test_ids):
    """Perplexity of the test tokens under the training frequencies, each count plus one."""
    counts = collections.Counter(train_ids)
    total = len(train_ids) + VOCABULARY
    nll = math.fsum(-math.log((counts[token] + 1) / total) for token in test_ids)
    return math.exp(nll / len(test_ids))


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def check(folder, files):
    """Number of files that differ from the committed ones; names them."""
    different = [name for name, text in files.items()
                 if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()]
    for name in different:
        print(f"make_demo: {folder / name} is not what the generator writes", file=sys.stderr)
    return len(different)


def make_model(lexicon, tokenizer, test_text, steps):
    """File name -> content of the trained model."""
    import torch  # here, because --check works without it

    from demo_maker import opt

    torch.set_num_threads(THREADS)
    ids = tokenizer.encode(training_text(lexicon, TRAINING_CHARACTERS))
    test_ids = tokenizer.encode(test_text)
    model = opt.train(ids, bpe.BOS_ID, VOCABULARY, steps, log=lambda line: print(line, flush=True))
    files = {"config.json": opt.config(VOCABULARY), "model.safetensors": opt.safetensors(model)}
    print(f"{sum(p.numel() for p in model.parameters())} parameters; test perplexity "
          f"{opt.perplexity(model, test_ids):.3f} in float32, unigram model "
          f"{unigram_perplexity(ids, test_ids):.1f}")
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=pathlib.Path, default=DEMO, help="folder of the demo")
    parser.add_argument("--steps", type=int, default=1100, help="training steps of 4096 tokens")
    parser.add_argument("--check", action="store_true",
                        help="compare texts and tokenizer instead of writing")
    arguments = parser.parse_args()
    lexicon = Lexicon(SEED)
    tokenizer = make_tokenizer(lexicon)
    files = {**text_files(lexicon), **tokenizer.files()}
    if arguments.check:
        return 1 if check(arguments.out, files) else 0
    write(arguments.out, files)
    write(arguments.out, make_model(lexicon, tokenizer, files["text/test.txt"], arguments.steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
