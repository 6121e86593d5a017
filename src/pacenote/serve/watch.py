"""A clip with its advisories drawn in: frames in, an H.264 video and one JSON object an answer out."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import ADVISE, Advisory
from pacenote.drives.clip import Clip, ClipFrame, read_clip, read_frames
from pacenote.drives.speed_log import SpeedLog
from pacenote.engine import ENGINE, Answer, asker
from pacenote.engine.answer import withhold
from pacenote.engine.reuse import Reuse
from pacenote.errors import InputError, PacenoteError
from pacenote.experts.detection import likely
from pacenote.experts.look import TowerLook
from pacenote.models.frames import Fit, fit_frame, frame_size, unfitted
from pacenote.models.readout import SPEED
from pacenote.prompts.look import Context
from pacenote.serve import icons
from pacenote.serve.crop import Blob, Box, find_coloured_blob, zoom
from pacenote.serve.hold import Hold
from pacenote.serve.panel import HEIGHT, STATE_COLOURS, WIDTH, Shown, panel
from pacenote.work import atomic, progress

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.models import Model

ANSWERS_A_SECOND = 4  # the default of `every`: often enough for a driver, rare enough for a CPU
CROP_SIDE = 232
CLOCK = Fraction(1, 90_000)  # s; time stamps of the output, fine enough for any input rate
LEAST = 0.1  # probability of a light from which the picture is searched where the model's own look sees it
Say = Callable[["Image.Image", int | None], Answer]  # a frame and the car's own speed in km/h, if known
Spot = Callable[["Image.Image", str], Box | None]  # the frame of the last answer, a light's state: where that light is


@dataclass(frozen=True)
class WatchSettings:
    """`every`: ask about each so-many-th frame (None: about four a second). `hold`: answers that must agree before the
    panel changes (1: none). `log_offset_s`: time of the log at the clip's first frame. `crop`: enlarge a claimed light.
    """

    every: int | None = None
    hold: int = 2
    fit: Fit = "auto"
    question: str = ADVISE
    log_offset_s: float = 0.0
    crop: bool = True
    confidence: bool = False
    speed: str = SPEED  # rule of `models.readout`
    engine: str = ENGINE  # see `pacenote.engine`
    least: float = 0.0  # slots less confident are withheld
    prompts: str = ""  # a prompt book: see `prompts.prompter.Prompter`
    expert: str = ""
    still: float = 0.0  # levels; a frame that changed less since the last question gets the last answer (0: all asked)


def watch(
    model: Model,
    clip: Path,
    out: Path,
    settings: WatchSettings,
    *,
    log: SpeedLog | None = None,
    json: Path | None = None,
) -> dict[str, Any]:
    """Write the overlay video to `out` (whole or not at all); returns what was done: frames, answers, ms an answer.

    The panel is drawn under the picture, so nothing of the road is covered but the corner with the enlarged light.
    `json` gets one object an answer: frame, time_s, advisory, shown, text, confidence, ms, own_kmh.
    Raises InputError for a clip that cannot be read.
    """
    size, prompter = frame_size(model), None
    if settings.prompts:
        if settings.still > 0:
            raise InputError("--still answers without asking, a prompt book asks each frame anew; give one of them")
        from pacenote.prompts.prompter import Prompter

        prompter = Prompter(model, settings.prompts, settings.expert, settings.fit)
    look = TowerLook.own(model, prompter.expert if prompter else None)
    ask = asker(model, settings.engine, settings.speed, look.eyes if look else None)
    if settings.still > 0:
        ask = Reuse(ask, settings.still)
    before: Image.Image | None = None  # the last frame as the model saw it

    def say(image: Image.Image, own_kmh: int | None) -> Answer:
        nonlocal before
        if prompter is None:
            before = fit_frame(image, size, settings.fit) if size else image
            answer = ask([[before]], [settings.question])[0]
        else:
            start = time.perf_counter()
            (frame,), (seen,) = prompter.look([image])
            context = Context(speed_kmh=own_kmh)
            one = prompter.compose(prompter.book, frame, seen, image, settings.question, context, before)
            before, ms = frame, (time.perf_counter() - start) * 1000
            answer = ask([one.images], [one.question], [one.roles])[0]
            answer = replace(answer, ms=answer.ms + ms)
        return withhold(answer, settings.least) if settings.least > 0 else answer

    def spot(image: Image.Image, state: str) -> Box | None:
        if look is None or before is None:
            return None
        lights = [one for one in look.detect([before])[0] if one.kind == "traffic_light" and one.state == state]
        best = max(lights, key=likely, default=None)
        if best is None or likely(best) < LEAST:
            return None
        return unfitted(best.box, image.size, size, settings.fit) if size else best.box

    return draw_watch(say, clip, out, settings, log=log, json=json, spot=spot)


def draw_watch(
    say: Say, clip: Path, out: Path, settings: WatchSettings, *, log: SpeedLog | None = None, json: Path | None = None,
    spot: Spot | None = None,
) -> dict[str, Any]:  # fmt: skip
    """`watch` with any function from a frame to an Answer, and one that tells where a light is seen."""
    header = read_clip(clip)
    every = settings.every or max(1, round(float(header.rate) / ANSWERS_A_SECOND))
    hold, shown, blob, answers = Hold(settings.hold), Advisory(None, None, None, None), None, []
    answer: Answer | None = None
    frames = 0
    with ExitStack() as stack:
        partial = stack.enter_context(atomic(_mp4(out)))
        file = stack.enter_context(stack.enter_context(atomic(json)).open("w")) if json else None
        writer = stack.enter_context(VideoWriter(partial, header))
        for frame in progress(read_frames(clip), f"watch {clip.name}", header.frames or None):
            own = log.at(frame.time_s + settings.log_offset_s) if log else None
            own_kmh = None if own is None else round(own)
            if frames % every == 0:
                answer = say(frame.image, own_kmh)
                shown = hold.show(answer.advisory)
                answers.append(answer.ms)
                if file:
                    file.write(jsonlib.dumps(_line(frame, answer, shown, own_kmh), ensure_ascii=False) + "\n")
            if settings.crop:
                blob = _follow(frame, shown, blob, spot, fresh=frames % every == 0)
            sure = _sure(answer, shown) if settings.confidence else ()
            strip = panel(Shown(shown, own_kmh, log is not None, sure))
            writer.write(compose(frame.image, strip, shown, blob, frame.time_s), frame.time_s)
            frames += 1
    ms = sum(answers) / len(answers)
    return {"clip": clip.name, "frames": frames, "answers": len(answers), "every": every, "ms": round(ms, 1)}


def _mp4(out: Path) -> Path:
    if out.suffix.lower() != ".mp4":
        raise InputError(f"--out {out}: the overlay is an MP4 video; end the name in .mp4")
    if out.is_dir():
        raise InputError(f"--out {out} is a directory; give a file name ending in .mp4")
    return out


def _follow(frame: ClipFrame, shown: Advisory, blob: Blob | None, spot: Spot | None, *, fresh: bool) -> Blob | None:
    """The light in this frame: where the model looks, else the spot of its colour that stands out most; between answers
    only where it was, so that it never jumps to another lamp."""
    if shown.light is None or (blob is None and not fresh):
        return None
    state = shown.light.state
    where = spot(frame.image, state) if spot and fresh else None
    if where is not None:
        wide, high = where[2] - where[0], where[3] - where[1]  # a look tells patches; the lamp may be in the next one
        around = (where[0] - wide / 2, where[1] - high / 2, where[2] + wide / 2, where[3] + high / 2)
        found = find_coloured_blob(frame.image, state, within=around)
        x0, y0, x1, y1 = found.box if found else (round(value) for value in where)
        return Blob((x0, y0, x1, y1), found.score if found else 0.0, told=True)
    found = find_coloured_blob(frame.image, state, blob, leash=1.0 if fresh else 0.06)
    return replace(found, told=not fresh and blob is not None and blob.told) if found else None


def _sure(answer: Answer | None, shown: Advisory) -> tuple[tuple[str, float], ...]:
    """Confidences of the slots whose shown value is the last answer's own."""
    if answer is None or answer.confidence is None:
        return ()
    pairs = {"speed": "speed_kmh", "light": "light", "obstacles": "obstacles", "crossroad": "crossroad"}
    return tuple(
        (slot, round(value, 2))
        for slot, value in answer.confidence.items()
        if value is not None and getattr(shown, pairs[slot]) == getattr(answer.advisory, pairs[slot])
    )


def _line(frame: ClipFrame, answer: Answer, shown: Advisory, own_kmh: int | None) -> dict[str, Any]:
    return {
        "frame": frame.index,
        "time_s": round(frame.time_s, 3),
        "advisory": answer.advisory.to_dict(),
        "shown": shown.to_dict(),
        "text": answer.text,
        "confidence": answer.confidence,
        "ms": round(answer.ms, 2),
        "own_kmh": own_kmh,
    }


def picture_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the road picture in the overlay: full width, at most 1280x1080, even."""
    scale = min(WIDTH / width, 1080 / height)
    return round(width * scale / 2) * 2, round(height * scale / 2) * 2


def compose(image: Image.Image, strip: Image.Image, shown: Advisory, blob: Blob | None, time_s: float) -> Image.Image:
    """One frame of the overlay: the road, the enlarged light in its corner, the panel below."""
    from PIL import Image, ImageDraw

    width, height = picture_size(*image.size)
    canvas = Image.new("RGB", (WIDTH, height + HEIGHT), (13, 15, 19))
    left = (WIDTH - width) // 2
    canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), (left, 0))
    canvas.paste(strip, (0, height))
    draw = ImageDraw.Draw(canvas, "RGBA")
    clock = f"{int(time_s // 60)}:{time_s % 60:04.1f}"
    draw.rounded_rectangle((16, 14, 100, 42), radius=8, fill=(13, 15, 19, 190))
    draw.text((58, 28), clock, font=icons.font(17), fill=(240, 242, 245), anchor="mm")
    if blob is not None and shown.light is not None:
        _inset(canvas, draw, image, blob, shown.light.state, left, width / image.width)
    return canvas


def _inset(canvas: Image.Image, draw: Any, image: Image.Image, blob: Blob, state: str, left: int, scale: float) -> None:
    colour = STATE_COLOURS[state]
    x0, y0, x1, y1 = blob.box
    pad = max(5.0, (x1 - x0) * scale * 0.5)
    box = (left + x0 * scale - pad, y0 * scale - pad, left + x1 * scale + pad, y1 * scale + pad)
    # The inset stands right, unless it would cover what it enlarges.
    right = box[2] < WIDTH - CROP_SIDE - 50 or box[1] > CROP_SIDE + 50
    at = (WIDTH - CROP_SIDE - 18, 18) if right else (18, 56)
    anchor = (at[0] if right else at[0] + CROP_SIDE, at[1] + CROP_SIDE / 2)
    near = box[2] if right else box[0]
    draw.line([anchor, (near, (box[1] + box[3]) / 2)], fill=(*colour, 150), width=2)
    draw.rectangle(box, outline=(*colour, 255), width=2)
    canvas.paste(zoom(image, blob.box, CROP_SIDE), at)
    draw.rectangle(
        (at[0] - 2, at[1] - 2, at[0] + CROP_SIDE + 1, at[1] + CROP_SIDE + 1), outline=(*colour, 255), width=3
    )
    draw.rectangle(
        (at[0] + 1, at[1] + CROP_SIDE - 25, at[0] + CROP_SIDE - 2, at[1] + CROP_SIDE - 2), fill=(13, 15, 19, 200)
    )
    text = f"{state} light" if blob.told else f"brightest {state} spot"
    draw.text(
        (at[0] + CROP_SIDE / 2, at[1] + CROP_SIDE - 13), text, font=icons.font(14), fill=(240, 242, 245), anchor="mm"
    )


class VideoWriter:
    """H.264 in MP4 through PyAV; frames carry their own times, so variable rates stay in step."""

    def __init__(self, path: Path, clip: Clip) -> None:
        import av

        height = picture_size(clip.width, clip.height)[1] + HEIGHT
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        try:
            self._stream: Any = self._container.add_stream("libx264", rate=clip.rate)
        except (ValueError, av.FFmpegError) as error:
            self._container.close()
            raise PacenoteError("this PyAV has no libx264 encoder; install the wheel: pip install av") from error
        self._stream.width, self._stream.height, self._stream.pix_fmt = WIDTH, height, "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = CLOCK
        self._stream.options = {"crf": "21", "preset": "veryfast"}
        self._last = -1
        self._size = (WIDTH, height)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def write(self, image: Image.Image, time_s: float) -> None:
        """Encode one picture shown from `time_s` on; times that do not rise are moved on by one tick."""
        import av

        if image.size != self._size:
            image = image.resize(self._size)
        frame = av.VideoFrame.from_image(image)
        self._last = max(self._last + 1, round(time_s / CLOCK))
        frame.pts, frame.time_base = self._last, CLOCK
        self._container.mux(self._stream.encode(frame))
