"""The words of the demo's stories and the fixed facts about them.

Function words and common words are English. Proper names, foods and some adjectives are built from
syllables, and most things are compounds ("copperkettle"), which gives some thousands of word types.
What is fixed here is the same in every story: who is a he or a she, which town lies east of which
and what it is known for, what a kettle is used for and who makes it. A model can know these facts
only by storing them in its weights, and compression can lose them.
"""

import dataclasses

from demo_maker.draw import Draw

COLOURS = "red blue green yellow white black brown grey purple golden silver orange".split()
QUALITIES = ("old new small large heavy light broken clean dusty pretty plain round square strange "
             "simple famous warm cold hollow smooth rough thin thick long short sharp").split()
OPPOSITES = (("older", "newer"), ("newer", "older"), ("larger", "smaller"), ("smaller", "larger"),
             ("lighter", "heavier"), ("heavier", "lighter"), ("longer", "shorter"),
             ("shorter", "longer"), ("cheaper", "dearer"), ("dearer", "cheaper"))
MOODS = "happy sad tired hungry proud angry quiet worried curious calm lonely brave".split()
NUMBERS = ("no one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
           "fifteen sixteen seventeen eighteen nineteen twenty").split()
SEASONS = "spring summer autumn winter".split()
DAYTIMES = "morning afternoon evening night".split()
WEATHER = {  # what comes over the river: what people then have to do
    "rain": "stay inside", "snow": "light a fire", "a storm": "close the shutters",
    "fog": "carry a lantern", "frost": "wear a coat", "thunder": "calm the animals",
}
PLACES = ("under the bridge;behind the mill;in the cellar;on the roof;beside the well;in the barn;"
          "near the gate;under the bed;in the garden;behind the door;on the shelf;in the tower;"
          "at the market;by the fountain;inside the chapel;beneath the stairs;in the attic;"
          "among the reeds;on the hill;in the forest;at the crossroads;in the old boat").split(";")
MODIFIERS = ("copper silver iron oak river moon sun winter summer star stone glass bone clay wool "
             "silk salt sand rain snow wind fire smoke night day sea hill wood field garden bridge "
             "tower harbour mountain meadow willow pine maple thorn rose feather shell amber pearl "
             "velvet leather paper ivory").split()
HEADS = {  # what a thing is called: what it is used for, where it is kept, who makes it
    "kettle": ("boil water", "on the stove", "smith"),
    "lamp": ("light the room", "on the table", "glazier"),
    "box": ("keep letters", "under the bench", "joiner"),
    "key": ("open the gate", "on a nail", "smith"),
    "knife": ("cut bread", "in the drawer", "smith"),
    "rope": ("tie the boat", "on a hook", "weaver"),
    "cloak": ("keep warm", "behind the curtain", "tailor"),
    "hat": ("keep dry", "on the peg", "tailor"),
    "boot": ("cross the mud", "by the door", "cobbler"),
    "drum": ("call the guests", "in the hall", "joiner"),
    "flute": ("play a song", "in a pocket", "carver"),
    "clock": ("tell the time", "on the wall", "tinker"),
    "mirror": ("see the road", "above the basin", "glazier"),
    "basket": ("carry fruit", "in the pantry", "weaver"),
    "bottle": ("store oil", "in the cupboard", "glazier"),
    "hammer": ("drive nails", "in the shed", "smith"),
    "needle": ("mend a coat", "in a cushion", "tinker"),
    "wheel": ("spin thread", "in the corner", "carver"),
    "chair": ("rest a while", "near the window", "joiner"),
    "blanket": ("cover the horse", "in the chest", "weaver"),
    "lantern": ("find the path", "on the porch", "tinker"),
    "spoon": ("stir soup", "in a jar", "carver"),
    "bell": ("wake the village", "in the steeple", "founder"),
    "pot": ("cook beans", "over the fire", "founder"),
}
GOODS = ("apple pear plum onion carrot egg loaf cake candle button coin ribbon nail pebble feather "
         "acorn walnut turnip cabbage herring").split()
ANIMALS = {  # what it is called: what it does, what it eats
    "dog": ("bark", "bones"), "cat": ("purr", "fish"), "horse": ("neigh", "hay"),
    "goose": ("hiss", "grass"), "owl": ("hoot", "mice"), "crow": ("caw", "seeds"),
    "lamb": ("bleat", "clover"), "bee": ("hum", "nectar"), "frog": ("croak", "flies"),
    "pony": ("snort", "oats"),
}
LANDMARKS = "mill abbey castle quarry lighthouse orchard library fountain bridge tower".split()
# Towns lie on a ring; a step in a direction moves this far along it.
STRIDES = {"north": 1, "south": -1, "east": 12, "west": -12}
IRREGULAR_PAST = {
    "be": "was", "have": "had", "go": "went", "give": "gave", "find": "found", "keep": "kept",
    "say": "said", "see": "saw", "take": "took", "make": "made", "hide": "hid", "tell": "told",
    "know": "knew", "bring": "brought",
}
IRREGULAR_PLURALS = {"loaf": "loaves", "herring": "herring"}


@dataclasses.dataclass(frozen=True)
class Person:
    name: str
    surname: str
    pronoun: str  # "he" or "she"


@dataclasses.dataclass(frozen=True)
class Thing:
    name: str  # a compound, e.g. "copperkettle"
    use: str
    kept: str
    maker: str


@dataclasses.dataclass(frozen=True)
class Town:
    name: str
    river: str
    food: str
    landmark: str
    adjective: str


class Lexicon:
    """All words and facts, the same for the same seed."""

    def __init__(self, seed):
        self._draw = Draw(f"{seed} lexicon")
        self._used = set()
        self.adjectives = self._names(120, "bdfgklmnprst", "aeiou", ("ish", "ic", "al", "ous"))
        foods = self._names(60, "bcdfgklmpt", "aeou", ("ba", "lo", "ner", "ka"))
        self.people = (self._people("he", ("an", "or", "ek", "im", "us", "olf")) +
                       self._people("she", ("a", "ia", "elle", "ina", "ela", "yra")))
        self.things = self._make_things()
        self.towns = self._make_towns(foods)

    def neighbour(self, town, direction):
        """The town that lies next to `town` in that direction."""
        return self.towns[(self.towns.index(town) + STRIDES[direction]) % len(self.towns)]

    def _names(self, count, consonants, vowels, endings):
        """`count` new words: one or two syllables and an ending."""
        words = []
        while len(words) < count:
            syllables = [self._draw.pick(consonants) + self._draw.pick(vowels)
                         for _ in range(self._draw.between(1, 2))]
            word = "".join(syllables) + self._draw.pick("lmnrst") + self._draw.pick(endings)
            if word not in self._used:
                self._used.add(word)
                words.append(word)
        return words

    def _people(self, pronoun, endings):
        given = [word.capitalize() for word in self._names(200, "bdfgjklmnrstv", "aeio", endings)]
        surnames = [word.capitalize() for word in
                    self._names(200, "bcdfghkmprstw", "aeio", ("field", "stone", "ley", "man"))]
        return [Person(name, surname, pronoun) for name, surname in zip(given, surnames)]

    def _make_things(self):
        """Every modifier with every head, each with the head's facts."""
        return [Thing(modifier + head, *facts)
                for modifier in MODIFIERS for head, facts in HEADS.items()]

    def _make_towns(self, foods):
        count = 120
        names = self._names(count, "bdfghklmnprstw", "aeio", ("ton", "ford", "burg", "mere", "wick"))
        rivers = self._names(40, "bdglmnrstv", "aeiou", ("en", "ava", "ise", "our"))
        return [Town(name.capitalize(), self._draw.pick(rivers).capitalize(),
                     self._draw.pick(foods), self._draw.pick(LANDMARKS),
                     self._draw.pick(self.adjectives)) for name in names]


def plural(noun):
    return IRREGULAR_PLURALS.get(noun, noun + "s")


def counted(number, noun):
    """ "one apple", "three apples", "no apples"."""
    return f"{NUMBERS[number]} {noun if number == 1 else plural(noun)}"


def with_article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def third_person(verb):
    irregular = {"be": "is", "have": "has", "go": "goes"}
    if verb in irregular:
        return irregular[verb]
    return verb + ("es" if verb.endswith("s") else "s")


def past(verb):
    if verb in IRREGULAR_PAST:
        return IRREGULAR_PAST[verb]
    return verb + ("d" if verb.endswith("e") else "ed")
