"""Draw docs/pictures/streets.jpg: frames of a rendered Dataset, each with its advisory below.

    python docs/pictures/streets.py streets-test test 100 105 110 119 401 422
"""

import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pacenote.data import Dataset

COLUMNS, WIDTH, HEIGHT, TEXT = 2, 560, 315, 56


def main(dataset: str, split: str, indices: list[int]) -> None:
    """Two columns of frames, `indices` of `split`, in reading order."""
    samples = [Dataset.open(dataset, split)[index] for index in indices]
    rows = -(-len(samples) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (WIDTH + 8) - 8, rows * (HEIGHT + TEXT)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, sample in enumerate(samples):
        x, y = place % COLUMNS * (WIDTH + 8), place // COLUMNS * (HEIGHT + TEXT)
        sheet.paste(sample.image(0).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), (x, y))
        note = textwrap.fill(sample.truth.advisory().text(), 88)
        pen.multiline_text((x + 2, y + HEIGHT + 4), note, fill="#222", font=font, spacing=2)
    sheet.save(Path(__file__).with_name("streets.jpg"), quality=86)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(index) for index in sys.argv[3:]])
