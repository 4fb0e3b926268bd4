"""Random choices that are the same for the same seed in every Python version.

Only random.Random.random() is documented to keep its sequence between versions, so every choice
is made from it.
"""

import random


class Draw:
    """A named stream of random choices."""

    def __init__(self, name):
        self._stream = random.Random(name)

    def below(self, count):
        """A whole number in [0, count)."""
        return int(self._stream.random() * count)

    def between(self, low, high):
        """A whole number in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, probability):
        return self._stream.random() < probability

    def pick(self, items):
        return items[self.below(len(items))]

    def some(self, items, count):
        """`count` different items, in random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]
