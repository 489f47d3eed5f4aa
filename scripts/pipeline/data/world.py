"""The embedded world: a small English language of questions about objects, with a gold score.

Prompts ask for one to three attributes of an object. Responses are short paragraphs whose sentences can be right,
wrong, polite, rude, hedging, repeated, off topic or missing. Everything is plain text and seeded; nothing is read
from disk.

The **gold score** of a response is a documented function of the prompt's and the response's text (`gold_score`). It
labels the preference pairs through a Bradley-Terry draw and it is the gold judge. Training, reward model and
generation never see it.

This is the first edition, and what it shares with the second, `pipeline.data.fair_world`: objects, attributes and
questions, how responses are written and how pairs are drawn.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

from scipy.special import expit

ATTRIBUTES = ("colour", "place", "use")

# object: per attribute, the truth and the common misconception.
OBJECTS = {
    "lemon": (("yellow", "green"), ("kitchen", "garden"), ("cooking", "drawing")),
    "plate": (("white", "blue"), ("kitchen", "office"), ("eating", "cutting")),
    "pan": (("black", "grey"), ("kitchen", "workshop"), ("cooking", "cleaning")),
    "apron": (("red", "white"), ("kitchen", "bedroom"), ("cleaning", "dressing")),
    "hammer": (("grey", "black"), ("workshop", "office"), ("building", "cutting")),
    "nail": (("grey", "yellow"), ("workshop", "bathroom"), ("building", "drawing")),
    "saw": (("yellow", "grey"), ("workshop", "garden"), ("cutting", "building")),
    "brush": (("white", "red"), ("workshop", "bathroom"), ("drawing", "cleaning")),
    "pillow": (("white", "green"), ("bedroom", "office"), ("sleeping", "reading")),
    "blanket": (("blue", "red"), ("bedroom", "garden"), ("sleeping", "dressing")),
    "lamp": (("yellow", "white"), ("bedroom", "kitchen"), ("reading", "cooking")),
    "chest": (("black", "yellow"), ("bedroom", "workshop"), ("dressing", "sleeping")),
    "spade": (("green", "black"), ("garden", "workshop"), ("building", "eating")),
    "hose": (("green", "blue"), ("garden", "kitchen"), ("cleaning", "building")),
    "rake": (("red", "green"), ("garden", "bathroom"), ("cleaning", "cutting")),
    "shears": (("blue", "grey"), ("garden", "bedroom"), ("cutting", "eating")),
    "pencil": (("yellow", "red"), ("office", "workshop"), ("drawing", "reading")),
    "paper": (("white", "yellow"), ("office", "bedroom"), ("drawing", "eating")),
    "book": (("red", "blue"), ("office", "bathroom"), ("reading", "sleeping")),
    "knife": (("grey", "white"), ("office", "kitchen"), ("cutting", "cooking")),
    "soap": (("green", "white"), ("bathroom", "kitchen"), ("cleaning", "eating")),
    "towel": (("blue", "yellow"), ("bathroom", "bedroom"), ("cleaning", "sleeping")),
    "comb": (("black", "red"), ("bathroom", "garden"), ("dressing", "drawing")),
    "robe": (("blue", "black"), ("bathroom", "office"), ("dressing", "reading")),
}

VALUES = {
    attribute: sorted({value for facts in OBJECTS.values() for value in facts[i]})
    for i, attribute in enumerate(ATTRIBUTES)
}

QUESTIONS = (
    "What is the {asked} of the {thing}?",
    "What do you know about the {asked} of the {thing}?",
    "Tell me the {asked} of the {thing}.",
    "Tell me about the {asked} of the {thing}.",
    "Please describe the {asked} of the {thing}.",
    "Please tell us the {asked} of the {thing}.",
    "Can you explain the {asked} of the {thing}?",
    "Can you tell me the {asked} of the {thing}?",
    "I would like to know the {asked} of the {thing}.",
    "I want to hear about the {asked} of the {thing}.",
    "Do you know the {asked} of the {thing}?",
    "My teacher asks for the {asked} of the {thing}.",
)

STATEMENTS = {
    "colour": "The {thing} is {value}.",
    "place": "The {thing} is in the {value}.",
    "use": "The {thing} is for {value}.",
}

POLITE_OPENINGS = ("Happy to help.", "Thanks for asking.")
POLITE_CLOSINGS = ("Hope this helps.", "Have a nice day.")
RUDE_REMARKS = ("What a silly question.", "You should know this.")
HEDGES = ("I am not sure.", "This may be wrong.")

# Gold points of a response, see `gold_score`.
POINTS = {
    "right": 1.0,
    "wrong": -1.0,
    "off_topic": -0.25,
    "polite": 0.5,
    "rude": -1.5,
    "hedge": -0.5,
    "repeated": -0.5,
    "unreadable": -1.0,
}

# How the writers of the dataset's responses behave: probabilities per response, or per asked attribute.
WRITER = {
    "right": 0.5,
    "wrong": 0.15,
    "polite_opening": 0.3,
    "rude": 0.3,
    "hedge": 0.3,
    "off_topic": 0.3,
    "repeated": 0.3,
    "polite_closing": 0.3,
}


def fact(thing: str, attribute: str) -> str:
    """The true value of an attribute, e.g. fact("lemon", "colour") == "yellow"."""
    return OBJECTS[thing][ATTRIBUTES.index(attribute)][0]


def misconception(thing: str, attribute: str) -> str:
    """What writers who are wrong say of an attribute, e.g. misconception("lemon", "colour") == "green"."""
    return OBJECTS[thing][ATTRIBUTES.index(attribute)][1]


def _join(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def all_prompts() -> list[str]:
    """Every prompt of the world, in a fixed order: 24 objects × 15 ordered choices of attributes × 12 questions."""
    choices = [choice for size in (1, 2, 3) for choice in permutations(ATTRIBUTES, size)]
    return [
        question.format(asked=_join(choice), thing=thing)
        for thing in OBJECTS
        for choice in choices
        for question in QUESTIONS
    ]


def parse_prompt(prompt: str) -> tuple[str, tuple[str, ...]]:
    """The object and the attributes that a prompt asks for.

    Raises:
        ValueError: the text is not a prompt of this world.
    """
    words = re.findall(r"[a-z]+", prompt.lower())
    things = [word for word in words if word in OBJECTS]
    asked = tuple(word for word in words if word in ATTRIBUTES)
    if len(things) != 1 or not asked:
        raise ValueError(f"not a prompt of the embedded world: {prompt!r} (it must name one object and an attribute)")
    return things[0], asked


def sentences(response: str) -> list[str]:
    """A text cut behind full stops, question and exclamation marks; the last part may lack its mark."""
    return [part.strip() for part in re.findall(r"[^.?!]+[.?!]|[^.?!]+$", response) if part.strip()]


_FACTS = {
    STATEMENTS[attribute].format(thing=thing, value=value): (thing, attribute, value)
    for thing in OBJECTS
    for attribute in ATTRIBUTES
    for value in VALUES[attribute]
}


def gold_score(prompt: str, response: str) -> float:
    """The gold score of a response, in points (higher is better).

    The response is cut into sentences at full stops. Per sentence: an asked attribute stated rightly +1; a false
    statement about any object −1; a true statement that was not asked for −0.25; a courtesy at the opening or the
    closing +0.5, the first of each kind only; rudeness −1.5; a hedge −0.5; a sentence said before −0.5 (and nothing
    else); anything else, an unfinished sentence included, −1. An asked attribute that is missing earns nothing.

    Args:
        prompt: a prompt of this world.
        response: any text.

    Returns:
        The sum of the points. An empty response scores 0.
    """
    thing, asked = parse_prompt(prompt)
    score, seen, courtesies = 0.0, set(), set()
    for sentence in sentences(response):
        if sentence in seen:
            score += POINTS["repeated"]
            continue
        seen.add(sentence)
        if sentence in _FACTS:
            subject, attribute, value = _FACTS[sentence]
            if value != fact(subject, attribute):
                score += POINTS["wrong"]
            else:
                score += POINTS["right" if subject == thing and attribute in asked else "off_topic"]
        elif sentence in POLITE_OPENINGS or sentence in POLITE_CLOSINGS:
            kind = "opening" if sentence in POLITE_OPENINGS else "closing"
            score += 0.0 if kind in courtesies else POINTS["polite"]
            courtesies.add(kind)
        else:
            kind = "rude" if sentence in RUDE_REMARKS else "hedge" if sentence in HEDGES else "unreadable"
            score += POINTS[kind]
    return score


@dataclass(frozen=True)
class Edition:
    """What differs between the world's editions.

    Attributes:
        statements: per attribute the sentences that state it, with places for thing and value.
        openings, closings, rude, hedges: sentences of manner.
        writer: probabilities as in `WRITER`; and true_aside, that what was not asked for is stated rightly, and
            unfinished, that the response breaks off within its last sentence.
        score: (prompt, response) -> gold score.
    """

    statements: dict[str, tuple[str, ...]]
    openings: tuple[str, ...]
    closings: tuple[str, ...]
    rude: tuple[str, ...]
    hedges: tuple[str, ...]
    writer: dict[str, float]
    score: Callable[[str, str], float]


FIRST = Edition(
    {attribute: (sentence,) for attribute, sentence in STATEMENTS.items()},
    *(POLITE_OPENINGS, POLITE_CLOSINGS, RUDE_REMARKS, HEDGES),
    {**WRITER, "true_aside": 0.5, "unfinished": 0.0},
    gold_score,
)


def write_response(prompt: str, rng: random.Random, edition: Edition = FIRST) -> str:
    """A response as one of the dataset's writers gives it (see `Edition.writer`). Never empty."""
    (thing, asked), writer = parse_prompt(prompt), edition.writer

    def state(attribute: str, right: bool) -> str:
        value = fact(thing, attribute) if right else misconception(thing, attribute)
        forms = edition.statements[attribute]
        return (rng.choice(forms) if len(forms) > 1 else forms[0]).format(thing=thing, value=value)

    body = []
    for attribute in asked:
        draw = rng.random()
        if draw < writer["right"] + writer["wrong"]:
            body.append(state(attribute, draw < writer["right"]))
    if len(asked) < len(ATTRIBUTES) and rng.random() < writer["off_topic"]:
        body.append(state(rng.choice([a for a in ATTRIBUTES if a not in asked]), rng.random() < writer["true_aside"]))
    if body and rng.random() < writer["repeated"]:
        body.append(rng.choice(body))

    opening, closing = [], []
    if rng.random() < writer["polite_opening"]:
        opening.append(rng.choice(edition.openings))
    if rng.random() < writer["rude"]:
        opening.append(rng.choice(edition.rude))
    if rng.random() < writer["hedge"]:
        (opening if rng.random() < 0.5 else closing).append(rng.choice(edition.hedges))
    if rng.random() < writer["polite_closing"]:
        closing.append(rng.choice(edition.closings))
    words = " ".join(opening + body + closing) or rng.choice(edition.hedges)
    if writer["unfinished"] and rng.random() < writer["unfinished"]:
        return words.rsplit(" ", 1)[0]
    return words


def preference_rows(size: int, seed: int, noise: float) -> list[dict[str, str]]:
    """Preference pairs: two writers answer a prompt, a noisy Bradley-Terry annotator prefers one.

    P(a is chosen over b) = σ((gold(a) − gold(b)) / noise), as in Bradley and Terry (1952). Pairs whose two responses
    are equal are drawn again.

    Args:
        size: number of prompts (each distinct, one pair for each), at most len(all_prompts()).
        seed: of the prompts' order, the writers and the annotator.
        noise: the annotator's temperature in gold points, > 0.

    Returns:
        `size` rows {prompt, chosen, rejected}, all strings.

    Raises:
        ValueError: `size` exceeds the number of prompts, or `noise` is not positive.
    """
    prompts = all_prompts()
    if not 0 < size <= len(prompts):
        raise ValueError(f"size must be between 1 and {len(prompts)}, the number of the world's prompts, not {size}")
    if noise <= 0:
        raise ValueError(f"noise must be > 0, not {noise}")
    rng = random.Random(seed)
    return draw_pairs(rng.sample(prompts, size), rng, noise, FIRST)


def draw_pairs(prompts: list[str], rng: random.Random, noise: float, edition: Edition) -> list[dict[str, str]]:
    """A pair for each prompt: two different responses, of which the annotator chooses one."""
    rows = []
    for prompt in prompts:
        first = second = write_response(prompt, rng, edition)
        while second == first:
            second = write_response(prompt, rng, edition)
        prefers_first = expit((edition.score(prompt, first) - edition.score(prompt, second)) / noise)
        chosen, rejected = (first, second) if rng.random() < prefers_first else (second, first)
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return rows
