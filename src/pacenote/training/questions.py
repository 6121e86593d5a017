"""Questions about a frame whose answers follow from its truth and evidence.

A model that is only ever asked one thing cannot be prompted later: it is asked for the whole advisory, one slot, yes or
no, how many, where, with and without context, with hints that may be wrong. A fact that is not known is never trained:
its words get weight 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacenote.advisory import (
    ADVISE,
    CROSSROADS,
    LIGHT_STATES,
    LIMIT,
    OBSTACLES,
    SLOTS,
    Advisory,
    Light,
    kind_words,
    request,
    slot_text,
)  # fmt: skip
from pacenote.advisory.domain import SPEEDS
from pacenote.models.heads import CONDITIONS
from pacenote.prompts.slots import SLOT_QUESTIONS
from pacenote.training.frames import Record, shown_limit

if TYPE_CHECKING:
    import numpy as np

Piece = tuple[str, float]  # words of the answer and their weight in the loss

ASK_ADVICE = (
    ADVISE, "Give the advisory for this frame.", "What should the driver know?",
    "Read the road ahead: speed, light, obstacles, crossroad.", "Warn the driver.",
)  # fmt: skip
ASK_SLOT = {
    "speed": (SLOT_QUESTIONS["speed"], "Recommended speed?", "How fast should the car go?"),
    "light": (SLOT_QUESTIONS["light"], "Traffic light?", "Which light is there for us?"),
    "obstacles": (SLOT_QUESTIONS["obstacles"], "Obstacles?", "What is in the way?"),
    "crossroad": (SLOT_QUESTIONS["crossroad"], "Crossroad?", "Which crossroad is ahead?"),
}  # fmt: skip
ASK_LIGHT_IS = ("Is the traffic light {0}?", "Does our light show {0}?")
ASK_IS_THERE = ("Is there {1} {0} ahead?", "Do you see {1} {0}?")
ASK_ANY = {"obstacles": "Is there any obstacle on the road?", "crossroad": "Is there any crossroad ahead?"}
ASK_COUNT = ("How many {0}s are there?", "Count the {0}s.")
ASK_WHERE = ("Where is the nearest {0}?", "Where do you see the {0}?")
ASK_CONDITION = {
    "weather": ("What is the weather?", CONDITIONS["weather"]),
    "time": ("Is it day, dusk or night?", CONDITIONS["time"]),
    "road_class": ("What kind of road is this?", CONDITIONS["road_class"]),
}
ASK_LIMIT = ("What is the speed limit here?", "Speed limit?")
TELL_LIMIT = (LIMIT, "Limit: {0} km/h.", "The limit is {0}.")
CONTEXT = {"weather": "Weather: {0}.", "time": "Time: {0}.", "road_class": "Road: {0}."}
OWN_SPEED = "Own speed: {0} km/h."
HINT = ("A hint that may be wrong: {0}.", "Someone says: {0}. Trust the picture.")
VEHICLES = ("car", "van", "truck", "bus")
MANY = 5  # more than this many of a kind are "more than five"
NUMBERS = ("none", "one", "two", "three", "four", "five")
NEAR_M = 25.0


@dataclass(frozen=True)
class Ask:
    """A question and the pieces of its answer; `kind` names the sort of question."""

    kind: str
    question: str
    answer: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join(words for words, _ in self.answer)


# Share of each kind; kinds that a record cannot answer are drawn again.
MIX: dict[str, float] = {
    "advisory": 0.40, "slot": 0.24, "yes_no": 0.13, "count": 0.05, "where": 0.06, "condition": 0.07, "limit": 0.05,
}  # fmt: skip


def ask(record: Record, rng: np.random.Generator, width: float = 448.0, kind: str | None = None) -> Ask | None:
    """A random question about `record`, whose boxes are in pixels of a view `width` px wide.

    None when the record answers nothing (or nothing of the wanted `kind`).
    """
    if record.answered is not None:
        question, answer = record.answered
        return Ask("given", question, ((answer, record.weight),))
    kinds = [kind] if kind else list(MIX)
    weights = [MIX[k] for k in kinds]
    while kinds:
        total = sum(weights)
        index = int(rng.choice(len(kinds), p=[w / total for w in weights]))
        made = _MAKERS[kinds[index]](record, rng, width)
        if made is not None:
            return made
        del kinds[index], weights[index]
    return None


def plain(record: Record) -> Ask:
    """The neutral request of a Dataset's rows: the whole advisory, with the limit where only context gives it."""
    return Ask("advisory", request(record.conditions.get("limit_kmh")), tuple(_advisory_pieces(record, None)))


def with_unknown(record: Record, hidden: frozenset[str]) -> Record:
    """`record` with the facts unknown that a view cut away (`augment.View.hidden` holds kinds of evidence)."""
    if not hidden:
        return record
    from dataclasses import replace

    from pacenote.training.targets import CROSSROAD_KINDS, LIGHT_KINDS

    truth = record.truth
    changes: dict[str, Any] = {}
    objects = record.objects
    if hidden & (LIGHT_KINDS | CROSSROAD_KINDS | {*OBSTACLES, "speed_limit"}):
        changes["speed_kmh"] = None
    if "speed_limit" in hidden:  # half a sign may still be read
        objects = (*objects, {"kind": "speed_limit", "role": "ahead", "stated": None})
    if hidden & LIGHT_KINDS:
        changes |= {"light": None, "light_state": None}
    lost = {kind for kind in OBSTACLES if kind in hidden}
    if lost:
        facts = {kind: None if kind in lost else fact for kind, fact in truth.obstacles.items()}
        changes |= {"obstacles": facts, "obstacles_any": True if any(facts.values()) else None}
    if hidden & CROSSROAD_KINDS:
        changes |= {"crossroad": {}, "crossroad_any": None}
    return replace(record, truth=replace(truth, **changes), objects=objects)


def _slot_pieces(record: Record, slot: str, rng: np.random.Generator | None) -> list[Piece]:
    """The sentence of a slot. Where the slot is not known, a guess with weight 0 holds its place, so that what follows
    is still asked in its usual context; of a light whose state alone is known, the state's words are trained."""
    advisory, weight = record.truth.advisory(), record.weight * record.slot_weight.get(slot, 1.0)
    known: Any = advisory.speed_kmh if slot == "speed" else getattr(advisory, slot)
    if known is not None:
        return [(slot_text(advisory, slot), weight)]
    state = record.truth.light_state
    if slot == "light" and state is not None:
        sentence = slot_text(Advisory(None, Light(state), None, None), slot)
        head = sentence[: sentence.index(state) + len(state)]
        return [(head, weight), (sentence[len(head) :], 0.0)]
    guess = _guess(slot, rng)
    return [(slot_text(guess, slot), 0.0)]


def _guess(slot: str, rng: np.random.Generator | None) -> Advisory:
    speed = int(rng.choice(SPEEDS[4:16])) if rng is not None else 50
    state = str(rng.choice(LIGHT_STATES)) if rng is not None else "none"
    kinds = frozenset({str(rng.choice(OBSTACLES))}) if rng is not None and rng.random() < 0.5 else frozenset[str]()
    cross = frozenset({str(rng.choice(CROSSROADS))}) if rng is not None and rng.random() < 0.5 else frozenset[str]()
    return Advisory(speed, Light(state), kinds, cross)


def _advisory_pieces(record: Record, rng: np.random.Generator | None) -> list[Piece]:
    pieces: list[Piece] = []
    for slot in SLOTS:
        own = _slot_pieces(record, slot, rng)
        if pieces:
            own[0] = (" " + own[0][0], own[0][1])
        pieces += own
    return pieces


def _lead(record: Record, rng: np.random.Generator, limit: bool) -> str:
    """Words before the question: the limit where the answer rests on it, random context, a hint."""
    lines = []
    given = record.conditions.get("limit_kmh")
    if given is not None and (limit or rng.random() < 0.3):
        # Most often in the words that a Dataset's own questions use.
        words = LIMIT if rng.random() < 0.6 else str(rng.choice(TELL_LIMIT))
        lines.append(words.format(given))
    if rng.random() < 0.3:
        for name, words in CONTEXT.items():
            if record.conditions.get(name) and rng.random() < 0.5:
                lines.append(words.format(record.conditions[name]))
        if record.speed_mps is not None and rng.random() < 0.5:
            lines.append(OWN_SPEED.format(round(record.speed_mps * 3.6)))
    if rng.random() < 0.12:
        guess = _guess("light", rng)
        slot = str(rng.choice(SLOTS[1:]))
        said = slot_text(guess, slot).rstrip(".")
        lines.append(str(rng.choice(HINT)).format(said[0].lower() + said[1:]))
    return " ".join(lines) + " " if lines else ""


def _whole(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    pieces = _advisory_pieces(record, rng)
    if not any(weight for _, weight in pieces):
        return None
    words = ADVISE if rng.random() < 0.6 else str(rng.choice(ASK_ADVICE))
    return Ask("advisory", _lead(record, rng, True) + words, tuple(pieces))


def _slot(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    for slot in rng.permutation(SLOTS):
        pieces = _slot_pieces(record, str(slot), rng)
        if any(weight for _, weight in pieces):
            words = str(rng.choice(ASK_SLOT[slot]))
            return Ask("slot", _lead(record, rng, slot == "speed") + words, tuple(pieces))
    return None


def _yes_no(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    truth = record.truth
    asked: list[tuple[str, bool, str]] = []  # question, answer, slot
    if truth.light_state is not None:
        others = [s for s in LIGHT_STATES if s not in ("none", truth.light_state)]
        state = truth.light_state if truth.light_state != "none" and rng.random() < 0.5 else str(rng.choice(others))
        asked.append((str(rng.choice(ASK_LIGHT_IS)).format(state), state == truth.light_state, "light"))
    for slot, facts, present in (
        ("obstacles", truth.obstacles, truth.obstacles_any), ("crossroad", truth.crossroad, truth.crossroad_any),
    ):  # fmt: skip
        # As many true facts as false ones, or "no" would nearly always be right.
        true = [kind for kind, fact in facts.items() if fact]
        false = [kind for kind, fact in facts.items() if fact is False]
        pool = true if true and (not false or rng.random() < 0.5) else false
        if pool:
            kind = str(rng.choice(pool))
            words = kind_words(kind)
            article = "an" if words[0] in "aeiou" else "a"
            asked.append((str(rng.choice(ASK_IS_THERE)).format(words, article), bool(facts[kind]), slot))
        if present is not None:
            asked.append((ASK_ANY[slot], present, slot))
    if not asked:
        return None
    question, answer, slot = asked[int(rng.integers(len(asked)))]
    weight = record.weight * record.slot_weight.get(slot, 1.0)
    return Ask("yes_no", _lead(record, rng, False) + question, (("Yes." if answer else "No.", weight),))


def _count(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    options = []
    for kind in ("cone", "pedestrian", "barrier"):
        if record.truth.obstacles.get(kind) is not None:
            own = [o for o in record.objects if o.get("kind") == kind and o.get("role") != "beside"]
            options.append((kind, own))
    if record.objects:
        options.append(("vehicle", [o for o in record.objects if o.get("kind") in VEHICLES]))
    options = [(kind, own) for kind, own in options if all(o.get("stated") is not None for o in own)]
    if not options:
        return None
    seen = [option for option in options if option[1]]
    kind, own = (seen or options)[int(rng.integers(len(seen or options)))] if rng.random() < 0.8 else options[0]
    number = sum(bool(o.get("stated")) for o in own)
    said = NUMBERS[number] if number <= MANY else "more than five"
    return Ask("count", str(rng.choice(ASK_COUNT)).format(kind), ((said.capitalize() + ".", record.weight),))


def _where(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for item in record.objects:
        kind = str(item.get("kind"))
        wanted = kind in ("traffic_light", *OBSTACLES, "pedestrian_crossing")
        if wanted and item.get("stated") and item.get("role") in ("ego", "obstacle", "ahead", "") and item.get("box"):
            kinds.setdefault(kind, []).append(item)
    if not kinds:
        return None
    kind = str(rng.choice(sorted(kinds)))
    item = min(kinds[kind], key=lambda o: o.get("distance_m") or 1e9)
    centre = (item["box"][0] + item["box"][2]) / 2 / width
    side = "left" if centre < 0.4 else "right" if centre > 0.6 else "centre"
    away = item.get("distance_m")
    said = side.capitalize() + ("" if away is None else ", near" if away < NEAR_M else ", far") + "."
    return Ask("where", str(rng.choice(ASK_WHERE)).format(kind_words(kind)), ((said, record.weight),))


def _condition(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    known = [name for name in ASK_CONDITION if record.conditions.get(name) in ASK_CONDITION[name][1]]
    if not known:
        return None
    name = str(rng.choice(known))
    said = str(record.conditions[name])
    return Ask("condition", ASK_CONDITION[name][0], ((said.capitalize() + ".", record.weight),))


def _limit(record: Record, rng: np.random.Generator, width: float) -> Ask | None:
    """The limit that the question gives or a legible sign or marking shows; none where both are silent."""
    given, shown = record.conditions.get("limit_kmh"), shown_limit(record.objects)
    if given is None and shown is None:
        return None
    limit = given or shown
    said = f"{limit} km/h." if limit else "None."
    return Ask("limit", _lead(record, rng, True) + str(rng.choice(ASK_LIMIT)), ((said, record.weight),))


_MAKERS: dict[str, Callable[[Record, Any, float], Ask | None]] = {
    "advisory": _whole, "slot": _slot, "yes_no": _yes_no, "count": _count, "where": _where, "condition": _condition,
    "limit": _limit,
}  # fmt: skip


def vocabulary() -> Iterator[str]:
    """Every phrase that questions and short answers use, for the tokenizer."""
    from pacenote.models.chat import SYSTEM

    yield f"system\n{SYSTEM}"
    yield "user\nassistant\ncrop: previous: thumbnail: frame: "
    yield from ASK_ADVICE
    for questions in ASK_SLOT.values():
        yield from questions
    for kind in (*OBSTACLES, *CROSSROADS, "vehicle", "traffic_light"):
        for words in (*ASK_IS_THERE, *ASK_COUNT, *ASK_WHERE):
            yield words.format(kind_words(kind), "a")
    for state in LIGHT_STATES:
        yield from (words.format(state) for words in ASK_LIGHT_IS)
    yield from ASK_ANY.values()
    for name, (question, values) in ASK_CONDITION.items():
        yield question
        for value in values:
            yield f"{value.capitalize()}. {CONTEXT[name].format(value)}"
    yield OWN_SPEED.format(50)
    for words in TELL_LIMIT:
        yield words.format(50)
    for words in HINT:
        yield words.format("traffic light: red, stop and wait")
        yield words.format("obstacles: cone, crossroad: none")
    for side in ("Left", "Right", "Centre"):
        yield f"{side}. {side}, near. {side}, far."
    yield from (f"{word.capitalize()}." for word in (*NUMBERS, "more than five", "yes", "no"))
