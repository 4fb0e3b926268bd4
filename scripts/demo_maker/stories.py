"""The grammar: writes one short story from a Lexicon and a stream of choices.

A story follows one or two people. Its tense, their names and pronouns, where a thing lies, its
colour and how many apples somebody has are kept from the first sentence to the last, so that later
words can be told from earlier ones; the lexicon's facts (towns, uses, makers) hold in all stories.
"""

import dataclasses

from demo_maker import lexicon as words

OBJECT_PRONOUN = {"he": "him", "she": "her"}
POSSESSIVE = {"he": "his", "she": "her"}


@dataclasses.dataclass
class Belonging:
    """A thing as this story knows it."""

    thing: words.Thing
    look: str    # its adjective, e.g. "red"
    place: str   # where it lies now
    owner: words.Person

    @property
    def name(self):
        return f"{self.look} {self.thing.name}"


class Story:
    """One story; text() writes it."""

    def __init__(self, lexicon, draw):
        self._lexicon = lexicon
        self._draw = draw
        self._past = draw.chance(0.75)
        self._hero, self._friend = draw.some(lexicon.people, 2)
        self._town = draw.pick(lexicon.towns)
        self._home = self._town
        self._good = draw.pick(words.GOODS)
        self._count = draw.between(4, 12)
        self._belongings = [self._make_belonging(self._hero), self._make_belonging(self._friend)]

    def text(self):
        """The story as one line of text."""
        events = (self._work, self._find_goods, self._give_goods, self._travel, self._ask,
                  self._hide, self._weather, self._animal, self._swap, self._use, self._compare,
                  self._tell_maker, self._town_fact)
        sentences = [self._opening(), self._own(self._belongings[0]), self._second_person()]
        for event in self._draw.some(events, self._draw.between(4, 7)):
            sentences.append(event())
        sentences.append(self._ending())
        return " ".join(sentences)

    # --- helpers -------------------------------------------------------------------------------

    def _verb(self, verb, subjects=1):
        """The verb in the story's tense, agreeing with one or several subjects."""
        if self._past:
            return "were" if verb == "be" and subjects > 1 else words.past(verb)
        if subjects > 1:
            return "are" if verb == "be" else verb
        return words.third_person(verb)

    def _make_belonging(self, owner):
        look = self._draw.pick(words.COLOURS if self._draw.chance(0.5) else words.QUALITIES)
        thing = self._draw.pick(self._lexicon.things)
        return Belonging(thing, look, thing.kept, owner)

    def _pair(self):
        """Both people, the speaking one first."""
        people = (self._hero, self._friend)
        return people if self._draw.chance(0.5) else people[::-1]

    # --- fixed parts ---------------------------------------------------------------------------

    def _opening(self):
        hero, town = self._hero, self._town
        adjective = self._draw.pick(words.MOODS)
        return self._draw.pick((
            f"{hero.name} {hero.surname} {self._verb('live')} in {town.name}, "
            f"{words.with_article(town.adjective)} town on the river {town.river}.",
            f"In {town.name} on the river {town.river} there {self._verb('live')} "
            f"{words.with_article(adjective)} {'man' if hero.pronoun == 'he' else 'woman'} "
            f"called {hero.name} {hero.surname}.",
        ))

    def _own(self, belonging):
        owner = belonging.owner
        return self._draw.pick((
            f"{owner.name} {self._verb('have')} {words.with_article(belonging.name)}, and "
            f"{owner.pronoun} {self._verb('keep')} it {belonging.place}.",
            f"{belonging.place[0].upper()}{belonging.place[1:]} {owner.pronoun} "
            f"{self._verb('keep')} {words.with_article(belonging.name)}.",
        ))

    def _second_person(self):
        hero, friend = self._hero, self._friend
        relation = self._draw.pick(("friend", "cousin", "neighbour"))
        kin = "brother" if friend.pronoun == "he" else "sister"
        relation = kin if self._draw.chance(0.3) else relation
        return (f"{POSSESSIVE[hero.pronoun].capitalize()} {relation} {friend.name} "
                f"{self._verb('have')} {words.with_article(self._belongings[1].name)}.")

    def _ending(self):
        hero, friend = self._hero, self._friend
        mine = next(item for item in self._belongings if item.owner is hero)
        if self._town is not self._home:
            return (f"In the end {hero.name} {self._verb('go')} home to {self._home.name} with "
                    f"the {mine.name} and {words.counted(self._count, self._good)}.")
        return (f"In the end {hero.name} {self._verb('keep')} the {mine.name} and "
                f"{words.counted(self._count, self._good)}, and {friend.name} {self._verb('be')} "
                f"{self._draw.pick(words.MOODS)}.")

    # --- events --------------------------------------------------------------------------------

    def _work(self):
        person, other = self._pair()
        item = self._make_belonging(person)
        return (f"{person.name} {self._verb('be')} {words.with_article(item.thing.maker)}, so "
                f"{person.pronoun} {self._verb('make')} {words.with_article(item.thing.name)} for "
                f"{other.name}.")

    def _find_goods(self):
        hero = self._hero
        more = self._draw.between(1, 20 - self._count)
        before, self._count = self._count, self._count + more
        return (f"{hero.name} {self._verb('have')} {words.counted(before, self._good)}. "
                f"Near the {self._town.landmark} {hero.pronoun} {self._verb('find')} "
                f"{words.NUMBERS[more]} more, so now {hero.pronoun} {self._verb('have')} "
                f"{words.counted(self._count, self._good)}.")

    def _give_goods(self):
        hero, friend = self._hero, self._friend
        given = self._draw.between(1, self._count)
        before, self._count = self._count, self._count - given
        return (f"{hero.name} {self._verb('have')} {words.counted(before, self._good)}. "
                f"{hero.pronoun.capitalize()} {self._verb('give')} {words.NUMBERS[given]} to "
                f"{friend.name}, so {hero.pronoun} {self._verb('have')} "
                f"{words.counted(self._count, self._good)} left.")

    def _travel(self):
        direction = self._draw.pick(("north", "south", "east", "west"))
        start, self._town = self._town, self._lexicon.neighbour(self._town, direction)
        together = self._draw.chance(0.5)
        who = f"{self._hero.name} and {self._friend.name}" if together else self._hero.name
        return (f"One {self._draw.pick(words.SEASONS)} {self._draw.pick(words.DAYTIMES)} {who} "
                f"{self._verb('walk', 2 if together else 1)} {direction} from {start.name} to "
                f"{self._town.name} and {self._verb('see', 2 if together else 1)} the "
                f"{self._town.landmark}.")

    def _ask(self):
        asking, answering = self._pair()
        item = self._draw.pick(self._belongings)
        return self._draw.pick((
            f'"Where is the {item.name}?" {self._verb("ask")} {asking.name}. '
            f'"It is {item.place}," {self._verb("say")} {answering.name}.',
            f'"Who has the {item.name}?" {self._verb("ask")} {asking.name}. '
            f'"{item.owner.name} has it," {self._verb("say")} {answering.name}.',
        ))

    def _hide(self):
        person, other = self._pair()
        item = self._draw.pick(self._belongings)
        item.place = self._draw.pick(words.PLACES)
        return (f"Then {person.name} {self._verb('hide')} the {item.name} {item.place}, but "
                f"{other.name} {self._verb('look')} {item.place} and {self._verb('find')} the "
                f"{item.thing.name}.")

    def _weather(self):
        sky = self._draw.pick(list(words.WEATHER))
        person, _ = self._pair()
        return (f"There {self._verb('be')} {sky} over the {self._town.river} that "
                f"{self._draw.pick(words.DAYTIMES)}, so {person.name} {self._verb('have')} to "
                f"{words.WEATHER[sky]}.")

    def _animal(self):
        person, _ = self._pair()
        animal = self._draw.pick(list(words.ANIMALS))
        sound, food = words.ANIMALS[animal]
        return (f"{person.name}'s {animal} {self._verb(sound)}, so {person.pronoun} "
                f"{self._verb('bring')} some {food} for the {animal}.")

    def _swap(self):
        first, second = self._belongings
        first.owner, second.owner = second.owner, first.owner
        return (f"{self._hero.name} and {self._friend.name} {self._verb('trade', 2)} the "
                f"{first.name} and the {second.name}, so now {first.owner.name} "
                f"{self._verb('have')} the {first.name} and {second.owner.name} "
                f"{self._verb('have')} the {second.name}.")

    def _use(self):
        item = self._draw.pick(self._belongings)
        person = item.owner
        return self._draw.pick((
            f"{person.name} {self._verb('take')} {POSSESSIVE[person.pronoun]} {item.thing.name} "
            f"to {item.thing.use}.",
            f"To {item.thing.use}, {person.name} {self._verb('use')} the {item.name}.",
        ))

    def _compare(self):
        first, second = self._draw.some(self._belongings, 2)
        adjective, opposite = self._draw.pick(words.OPPOSITES)
        return (f"The {first.name} {self._verb('be')} {adjective} than the {second.name}, so the "
                f"{second.thing.name} {self._verb('be')} {opposite}.")

    def _tell_maker(self):
        teller, listener = self._pair()
        item = self._draw.pick(self._belongings)
        return (f"{teller.name} {self._verb('tell')} {listener.name} that "
                f"{words.with_article(item.thing.maker)} {self._verb('make')} the "
                f"{item.thing.name}, and {listener.name} {self._verb('thank')} "
                f"{OBJECT_PRONOUN[teller.pronoun]}.")

    def _town_fact(self):
        town = self._town
        return (f"Everyone {self._verb('know')} that {town.name} {self._verb('be')} "
                f"{town.adjective} and {self._verb('have')} the best {town.food}.")


def write_stories(lexicon, draw, min_characters):
    """Stories, one a line, until they have at least `min_characters` characters."""
    lines, characters = [], 0
    while characters < min_characters:
        line = Story(lexicon, draw).text()
        lines.append(line)
        characters += len(line) + 1
    return "\n".join(lines) + "\n"
