"""Tests of the demo's generator: the tokenizer in closed form, and what every story must keep."""

import collections
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

from demo_maker import bpe, lexicon  # noqa: E402  (the path above comes first)
from demo_maker.draw import Draw  # noqa: E402
from demo_maker.stories import Story, write_stories  # noqa: E402


class Choices(unittest.TestCase):
    def test_the_sequence_of_a_name_is_fixed(self):
        draw = Draw("fixed")
        self.assertEqual([draw.below(1000) for _ in range(4)], [914, 525, 968, 755])

    def test_some_picks_different_items(self):
        self.assertEqual(sorted(Draw("all").some("abcdef", 6)), list("abcdef"))


class Morphology(unittest.TestCase):
    def test_verb_forms(self):
        for verb, third, past in (("walk", "walks", "walked"), ("hide", "hides", "hid"),
                                  ("hiss", "hisses", "hissed"), ("live", "lives", "lived"),
                                  ("be", "is", "was"), ("have", "has", "had")):
            self.assertEqual((lexicon.third_person(verb), lexicon.past(verb)), (third, past))

    def test_nouns_agree_with_their_number(self):
        self.assertEqual(lexicon.counted(1, "apple"), "one apple")
        self.assertEqual(lexicon.counted(0, "loaf"), "no loaves")
        self.assertEqual(lexicon.with_article("old key"), "an old key")


class Stories(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lexicon = lexicon.Lexicon("test")
        draw = Draw("stories")
        cls.stories = [Story(cls.lexicon, draw).text() for _ in range(300)]

    def test_same_seed_same_text(self):
        self.assertEqual(write_stories(lexicon.Lexicon("test"), Draw("a"), 5000),
                         write_stories(self.lexicon, Draw("a"), 5000))

    def test_walking_back_leads_home(self):
        town = self.lexicon.towns[7]
        for there, back in (("north", "south"), ("east", "west")):
            self.assertIs(self.lexicon.neighbour(self.lexicon.neighbour(town, there), back), town)

    def test_a_given_away_count_is_the_difference(self):
        number = {word: value for value, word in enumerate(lexicon.NUMBERS)}
        pattern = re.compile(r"(?:had|has) (\w+) \w+\. (?:He|She) (?:gave|gives) (\w+) to \w+, "
                             r"so (?:he|she) (?:had|has) (\w+) ")
        found = [match.groups() for story in self.stories for match in pattern.finditer(story)]
        self.assertGreater(len(found), 50)
        for before, given, left in found:
            self.assertEqual(number[before] - number[given], number[left])

    def test_a_hidden_thing_lies_where_it_was_hidden(self):
        hidden = re.compile(r"hid the (\w+ \w+) (.+?), but .*?\"Where is the \1\?\" asked \w+\. "
                            r"\"It is (.+?),\" said")
        found = [match.groups() for story in self.stories for match in hidden.finditer(story)]
        self.assertGreater(len(found), 5)
        for _, place, answer in found:
            self.assertEqual(place, answer)

    def test_there_are_thousands_of_word_types(self):
        text = write_stories(self.lexicon, Draw("types"), 1_000_000)
        self.assertGreater(len(collections.Counter(re.findall("[A-Za-z]+", text))), 2000)


class BytePairEncoding(unittest.TestCase):
    def test_most_frequent_pair_first_ties_by_the_smaller_pair(self):
        # Words: "abab" once, " cd" twice: pairs ab 2, ba 1, Ġc 2, cd 2; then abab, Ġc+d.
        merges = bpe.train_merges("abab cd cd", 4)
        self.assertEqual(merges, [("a", "b"), ("c", "d"), ("Ġ", "cd"), ("ab", "ab")])

    def test_encoding_applies_the_merges_and_puts_bos_in_front(self):
        tokenizer = bpe.Tokenizer(bpe.train_merges("abab cd cd", 4))
        tokens = {index: token for token, index in tokenizer.vocabulary.items()}
        ids = tokenizer.encode("ababa cd\n")
        self.assertEqual(ids[0], bpe.BOS_ID)
        self.assertEqual([tokens[i] for i in ids[1:]], ["abab", "a", "Ġcd", "Ċ"])

    def test_every_byte_has_its_own_symbol(self):
        self.assertEqual(len(set(bpe.SYMBOLS.values())), 256)
        self.assertEqual((bpe.SYMBOLS[ord(" ")], bpe.SYMBOLS[ord("a")]), ("Ġ", "a"))

    def test_overlapping_pairs_are_joined_from_the_left(self):
        self.assertEqual(bpe.join_pair(("a", "a", "a"), ("a", "a")), ("aa", "a"))


if __name__ == "__main__":
    unittest.main()
