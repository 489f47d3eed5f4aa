"""The second edition of the embedded world, in which what a method gains can be told apart and questions can be new.

Objects, attributes, questions, writers and annotator are those of `pipeline.data.world`. Four things differ:

- **The gold score has named parts** (`gold_parts`), of which it is the sum.
- **Eval has two parts**, told apart by the column source. `held_out`: questions for HELD_OUT, twelve pairs of object
  and attribute that no question of train, selection or the other part asks for. Train does state these facts, as asides
  in answers to other questions about the object, so that they can be known; only to be asked for them is new.
  `like_train`: questions that train could have.
- **Sentences have several forms**, so that few responses of eval stand word for word in train.
- **Some responses break off**, so that readability is something that pairs can teach.

How the points weigh, and why:

- right +1, an asked fact stated and nothing else said of it: the aim. Who states the truth and a falsehood of the same
  kind has not answered, so that listing all values earns nothing.
- wrong −1, each false statement, asked for or not: as bad as a right one is good.
- missing −0.5, an asked fact of which nothing is said: better than wrong and worse than right. Between them it makes
  guessing pay only from one chance in four on, which a guess among all values of an attribute does not have.
- off_topic −0.25, each true statement that was not asked for: a nuisance, no falsehood.
- readability −0.5, each sentence that cannot be read, does not end, or says again what was said: half of what a false
  statement costs, as it misleads nobody.
- manner, from −0.2 to +0.2: +0.1 for a courtesy at the opening and for one at the closing, −0.1 for rudeness and for a
  hedge, each however often it occurs. So the worst manner and the best are 0.4 apart, less than the 0.5 between a wrong
  fact and a missing one, and the 1.5 between a missing one and a right one: no manner makes up for one fact.
"""

import random

from pipeline.columns.pairs import SOURCE_COLUMN
from pipeline.data.world import (
    ATTRIBUTES,
    OBJECTS,
    VALUES,
    WRITER,
    Edition,
    all_prompts,
    draw_pairs,
    fact,
    parse_prompt,
    sentences,
)

PARTS = ("right", "wrong", "missing", "off_topic", "manner", "readability")
POINTS = {"right": 1.0, "wrong": -1.0, "missing": -0.5, "off_topic": -0.25, "readability": -0.5}
MANNER = 0.1

STATEMENTS = {
    "colour": (
        "The {thing} is {value}.",
        "The colour of the {thing} is {value}.",
        "People know the {thing} as {value}.",
    ),
    "place": (
        "The {thing} is in the {value}.",
        "The place of the {thing} is the {value}.",
        "People keep the {thing} in the {value}.",
    ),
    "use": (
        "The {thing} is for {value}.",
        "The use of the {thing} is {value}.",
        "People take the {thing} for {value}.",
    ),
}
OPENINGS = ("Happy to help.", "Thanks for asking.", "What a nice question.", "Of course.")
CLOSINGS = ("Hope this helps.", "Have a nice day.", "Ask me any time.", "All the best.")
RUDE = ("What a silly question.", "You should know this.", "Look it up yourself.", "How can you not know.")
HEDGES = ("I am not sure.", "This may be wrong.", "Do not rely on me.", "As far as I know.")

# Every second object has one attribute, each attribute in turn, that no question of train asks for.
HELD_OUT = tuple((thing, ATTRIBUTES[n // 2 % 3]) for n, thing in enumerate(OBJECTS) if n % 2 == 0)
SOURCES = ("held_out", "like_train")

_FACTS = {
    form.format(thing=thing, value=value): (thing, attribute, value)
    for thing in OBJECTS
    for attribute in ATTRIBUTES
    for value in VALUES[attribute]
    for form in STATEMENTS[attribute]
}
_MANNERS = (OPENINGS, CLOSINGS, RUDE, HEDGES)


def gold_parts(prompt: str, response: str) -> dict[str, float]:
    """The points of a response by PARTS; they add up to its gold score.

    Args:
        prompt: a prompt of the world.
        response: any text. An empty one misses every asked fact, and nothing else.
    """
    thing, asked = parse_prompt(prompt)
    said: set = set()
    unreadable, manners = 0, [0, 0, 0, 0]
    for sentence in sentences(response):
        what = _FACTS.get(sentence, sentence)
        known = what in said
        said.add(what)
        kinds = [sentence in kind for kind in _MANNERS]
        manners = [max(pair) for pair in zip(manners, kinds, strict=True)]
        unreadable += known or not (sentence in _FACTS or any(kinds))
    facts = {what for what in said if isinstance(what, tuple)}
    true = {(subject, attribute) for subject, attribute, value in facts if value == fact(subject, attribute)}
    false = {what for what in facts if what[2] != fact(what[0], what[1])}
    denied, wanted = {what[:2] for what in false}, {(thing, attribute) for attribute in asked}
    counts = {
        "right": len(true & wanted - denied),
        "wrong": len(false),
        "missing": len(wanted - true - denied),
        "off_topic": len(true - wanted),
        "readability": unreadable,
    }
    points = {name: POINTS[name] * count for name, count in counts.items()}
    opening, closing, rude, hedge = manners
    points["manner"] = MANNER * (opening + closing - rude - hedge)
    return {name: points[name] + 0.0 for name in PARTS}


def gold_score(prompt: str, response: str) -> float:
    """The sum of a response's parts, in points (higher is better)."""
    return round(sum(gold_parts(prompt, response).values()), 9)


SECOND = Edition(
    *(STATEMENTS, OPENINGS, CLOSINGS, RUDE, HEDGES),
    {**WRITER, "off_topic": 0.5, "true_aside": 0.8, "unfinished": 0.1},
    gold_score,
)


def is_held_out(prompt: str) -> bool:
    """Whether a prompt asks for one of HELD_OUT."""
    thing, asked = parse_prompt(prompt)
    return any((thing, attribute) in HELD_OUT for attribute in asked)


def preference_rows(size: int, eval_size: int, seed: int, noise: float) -> dict[str, list[dict[str, str]]]:
    """Preference pairs as `pipeline.data.world.preference_rows` makes them, already in splits.

    Args:
        size: number of prompts in all.
        eval_size: of them in eval, half of which (rounded down) ask for HELD_OUT.
        seed: of the prompts' order, the writers and the annotator.
        noise: the annotator's temperature in gold points, > 0.

    Returns:
        {train | eval: rows {prompt, chosen, rejected, source}}; source is one of SOURCES.

    Raises:
        ValueError: there are not so many prompts.
    """
    rng, prompts = random.Random(seed), all_prompts()
    kinds = {
        "held_out": [prompt for prompt in prompts if is_held_out(prompt)],
        "like_train": [prompt for prompt in prompts if not is_held_out(prompt)],
    }
    held_out = eval_size // 2
    wanted = {"held_out": held_out, "like_train": size - held_out}
    for kind, count in wanted.items():
        if count > len(kinds[kind]):
            raise ValueError(f"{count} prompts that are {kind} are wanted, there are {len(kinds[kind])}; lower size")
    rows = [
        row | {SOURCE_COLUMN: kind}
        for kind, count in wanted.items()
        for row in draw_pairs(rng.sample(kinds[kind], count), rng, noise, SECOND)
    ]
    return {"eval": rows[:eval_size], "train": rows[eval_size:]}
