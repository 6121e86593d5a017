"""One self-contained HTML page: no network, no files beside it; light and dark, wide and narrow."""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pacenote.errors import InputError
from pacenote.work.files import write_text

MAX_IMAGE_BYTES = 300_000  # a larger image file is re-encoded, so that a report of many stays mailable
MAX_IMAGE_WIDTH = 1280
JPEG_QUALITY = 85
MEDIA = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif", ".svg": "svg+xml"}
_FIGURE = re.compile(r"[-+−]?\d[\d., ]*%?( ?\[[^\]]*\])?|\[[-−\d., ]*\]")  # 0.5, 0.5 [0.4, 0.6], [0.4, 0.6], 12 %
_ZOOM = (
    "const d=document.querySelector('dialog');document.addEventListener('click',e=>{"
    "if(e.target.matches('img.zoom')){d.firstChild.src=e.target.src;d.showModal()}else if(d.open)d.close()})"
)


class Page:
    """Collects blocks in order; every method returns the page. `save` writes it.

    All text is escaped. Images are paths, PIL images or encoded bytes.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._blocks: list[str] = []
        self._sections: list[tuple[str, str]] = []

    def heading(self, text: str, level: int = 2) -> Page:
        """A heading; those of level 2 make the navigation at the top."""
        anchor = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
        taken = {name for name, _ in self._sections}
        while anchor in taken:
            anchor += "-"
        if level == 2:
            self._sections.append((anchor, text))
        self._blocks.append(f'<h{level} id="{anchor}">{_text(text)}</h{level}>')
        return self

    def paragraph(self, text: str, *, note: bool = False) -> Page:
        """A paragraph; line breaks are kept. `note` prints it softer."""
        kind = ' class="note"' if note else ""
        self._blocks.append(f"<p{kind}>{_text(text)}</p>")
        return self

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Page:
        """A table; numbers stand right, floats show three decimals, None is a dash."""
        rows = [list(row) for row in rows]
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"a row of {len(row)} cells under {len(columns)} columns")
        numeric = [_numeric([row[i] for row in rows]) for i in range(len(columns))]

        def line(cells: Sequence[Any], tag: str) -> str:
            kinds = (' class="n"' if number else "" for number in numeric)
            inner = (f"<{tag}{kind}>{_text(cell_text(cell))}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
            return f"<tr>{''.join(inner)}</tr>"

        top = f"<caption>{_text(caption)}</caption>" if caption else ""
        body = "".join(line(row, "td") for row in rows)
        head = f"<thead>{line(columns, 'th')}</thead>"
        self._blocks.append(f'<div class="scroll"><table>{top}{head}<tbody>{body}</tbody></table></div>')
        return self

    def figure(self, figure: Any, caption: str = "") -> Page:
        """A matplotlib figure as inline SVG data; it is closed afterwards."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
        source = _data("image/svg+xml", buffer.getvalue())
        image = f'<img src="{source}" alt="{_text(caption)}">'
        self._blocks.append(f'<figure class="plot">{image}{_caption(caption)}</figure>')
        return self

    def image(self, image: Any, caption: str = "") -> Page:
        """One picture at its own size (at most the page's width)."""
        self._blocks.append(_picture(image, caption))
        return self

    def gallery(self, items: Iterable[Any]) -> Page:
        """A grid of pictures; each item is an image or a pair (image, caption)."""
        pictures = [_picture(*item) if isinstance(item, tuple) else _picture(item, "") for item in items]
        self._blocks.append(f'<div class="gallery">{"".join(pictures)}</div>')
        return self

    def video(self, path: str | Path, caption: str = "") -> Page:
        """An MP4 or WebM clip, embedded whole: keep it short."""
        path = Path(path)
        kind = "webm" if path.suffix.lower() == ".webm" else "mp4"
        source = _data(f"video/{kind}", _read(path))
        tag = f'<video controls muted loop playsinline preload="metadata" src="{source}"></video>'
        self._blocks.append(f"<figure>{tag}{_caption(caption)}</figure>")
        return self

    def code(self, text: str, summary: str = "") -> Page:
        """Preformatted text; with a `summary` it is folded away under that line."""
        block = f"<pre>{_text(text)}</pre>"
        if summary:
            block = f"<details><summary>{_text(summary)}</summary>{block}</details>"
        self._blocks.append(block)
        return self

    def html(self) -> str:
        """The whole document."""
        from pacenote import __version__

        style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
        links = "".join(f'<a href="#{anchor}">{_text(text)}</a>' for anchor, text in self._sections)
        nav = f"<nav>{links}</nav>" if len(self._sections) > 1 else ""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(self.title)}</title>\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{style}</style></head>\n'
            f"<body><main><h1>{_text(self.title)}</h1>{nav}\n" + "\n".join(self._blocks) + "\n"
            f"<footer>Pacenote {__version__}</footer></main>\n"
            f"<dialog><img alt=''></dialog><script>{_ZOOM}</script></body></html>\n"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page atomically and return its path."""
        write_text(path, self.html())
        return Path(path)


def cell_text(value: Any) -> str:
    """How a value reads in a table: three decimals, thousands apart, a dash for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple) and value and all(isinstance(part, int | float) for part in value):
        return "[" + ", ".join(cell_text(part) for part in value) + "]"
    return str(value)


def _numeric(cells: Sequence[Any]) -> bool:
    known = [cell for cell in cells if cell not in (None, "", "–")]
    return bool(known) and all(
        _FIGURE.fullmatch(cell)
        if isinstance(cell, str)
        else isinstance(cell, int | float) and not isinstance(cell, bool)
        for cell in known
    )


def _text(value: str) -> str:
    return html.escape(str(value), quote=True)


def _caption(text: str) -> str:
    return f"<figcaption>{_text(text)}</figcaption>" if text else ""


def _data(media: str, content: bytes) -> str:
    return f"data:{media};base64,{base64.b64encode(content).decode('ascii')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror})") from None


def _picture(image: Any, caption: str = "") -> str:
    tag = f'<img class="zoom" loading="lazy" src="{_source(image)}" alt="{_text(caption)}">'
    return f"<figure>{tag}{_caption(caption)}</figure>"


def _source(image: Any) -> str:
    if isinstance(image, str | Path):
        media = MEDIA.get(Path(image).suffix.lower())
        content = _read(Path(image))
        if media and len(content) <= MAX_IMAGE_BYTES:
            return _data(f"image/{media}", content)
        image = content
    from PIL import Image, ImageOps

    if isinstance(image, bytes | bytearray):
        try:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(image)))
        except (OSError, ValueError) as error:
            raise InputError(f"a picture of the page is not an image ({error})") from None
    if image.width > MAX_IMAGE_WIDTH:
        image = image.resize((MAX_IMAGE_WIDTH, round(image.height * MAX_IMAGE_WIDTH / image.width)))
    buffer = io.BytesIO()
    if image.mode in ("RGB", "L", "CMYK", "YCbCr"):
        image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
        return _data("image/jpeg", buffer.getvalue())
    image.save(buffer, "PNG", optimize=True)
    return _data("image/png", buffer.getvalue())
