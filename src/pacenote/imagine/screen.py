"""What may not be asked of a painter, nor come out of it. The default is a list of words and a look for blank pictures;
a function of your own replaces it: `--screen package.module:function`.

A screen is called as `screen(prompt, image)`, before painting with `image` None, and returns why it refuses, "" where
it does not. Painters of the Stable Diffusion family with a safety checker of their own paint refused pictures black;
those are found here, too.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pacenote.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Screen = Callable[[str, "Image.Image | None"], str]

# Scenes of crashes show cars, not people hurt; and no one is to be recognised.
WORDS = (
    "blood", "bloody", "corpse", "corpses", "dead", "gore", "gory", "injured", "wounded", "naked", "nude", "nudity",
    "sexual", "weapon", "weapons", "gun", "guns", "hate", "celebrity", "portrait of", "in the style of",
)  # fmt: skip
BLANK = 2.0  # standard deviation of the levels below which a picture shows nothing


def word_screen(prompt: str, image: Image.Image | None, words: tuple[str, ...] = WORDS) -> str:
    """Refuses prompts with one of `words` and pictures of one colour."""
    found = re.search(rf"\b({'|'.join(map(re.escape, words))})\b", prompt.lower())
    if found:
        return f"the word '{found[1]}'"
    if image is not None:
        import numpy as np

        if float(np.asarray(image.convert("L"), np.float32).std()) < BLANK:
            return "a blank picture"
    return ""


def open_screen(name: str) -> Screen:
    """The screen "module:function", or the default for "". Raises InputError where there is none."""
    if not name:
        return word_screen
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"--screen {name}: cannot be imported ({error}); give package.module:function") from None
    if not callable(found):
        raise InputError(f"--screen {name}: is no function; give package.module:function")
    return found
