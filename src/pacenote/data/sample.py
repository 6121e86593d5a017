"""One row of a Dataset: images, a task, what is true, and where it all came from."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacenote.advisory import ADVISE, Truth
from pacenote.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SOURCES = ("mined", "imagined", "rendered", "general", "drivelm")
ROLES = ("frame", "crop", "previous", "thumbnail")
SPLITS = ("train", "dev", "test")
MAX_PIXELS = 40_000_000  # above this a picture is taken for broken or hostile, not for a camera frame
# What Pillow raises on broken bytes, depending on the format.
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, MemoryError, struct.error)


@dataclass(frozen=True)
class Picture:
    """An encoded image (JPEG, PNG or WebP bytes) and the name it came from; decoded only when asked."""

    bytes: bytes
    path: str = ""

    @classmethod
    def read(cls, path: str | Path, name: str | None = None) -> Picture:
        """The file's bytes, unread as an image. Raises InputError when the file cannot be read."""
        try:
            return cls(Path(path).read_bytes(), str(path) if name is None else name)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); give an existing image file") from None

    @classmethod
    def encode(cls, image: Image.Image, path: str = "", *, format: str = "JPEG", quality: int = 95) -> Picture:
        """Encode a PIL image; `format` JPEG, PNG or WEBP (quality 100 = lossless for WEBP, ignored for PNG)."""
        buffer = io.BytesIO()
        options: dict[str, Any] = {} if format == "PNG" else {"quality": quality}
        if format == "WEBP" and quality == 100:
            options = {"lossless": True}
        image.save(buffer, format, **options)
        return cls(buffer.getvalue(), path)

    @classmethod
    def encode_classes(cls, classes: np.ndarray, path: str = "") -> Picture:
        """Encode an HxW uint8 class map as a PNG (lossless)."""
        from PIL import Image

        if classes.dtype.name != "uint8" or classes.ndim != 2:
            raise InputError(f"a class map must be HxW uint8, got {classes.dtype} of shape {classes.shape}")
        return cls.encode(Image.fromarray(classes), path, format="PNG")

    def size(self) -> tuple[int, int]:
        """(width, height) in pixels from the header, before any EXIF turn. Raises InputError on a non-image."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.bytes)) as image:
                return image.size
        except Image.DecompressionBombError:
            raise self._huge("its size") from None
        except _UNREADABLE as error:
            raise self._broken(error) from None

    def open(self) -> Image.Image:
        """Decode to RGB, turned upright by its EXIF tag. Raises InputError when it is corrupt or huge."""
        from PIL import Image, ImageOps

        width, height = self.size()
        if width * height > MAX_PIXELS:
            raise self._huge(f"{width}x{height}")
        try:
            with Image.open(io.BytesIO(self.bytes)) as image:
                return ImageOps.exif_transpose(image).convert("RGB")
        except _UNREADABLE as error:
            raise self._broken(error) from None

    def classes(self) -> np.ndarray:
        """Decode a class map: HxW uint8, values are indices of `data.classes.CLASSES`."""
        import numpy as np
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.bytes)) as image:
                return np.asarray(image.convert("L") if image.mode != "L" else image, dtype=np.uint8)
        except _UNREADABLE as error:
            raise self._broken(error) from None

    def _huge(self, size: str) -> InputError:
        return InputError(f"{self.path or 'image'}: {size} is over {MAX_PIXELS // 10**6} megapixels; scale it down")

    def _broken(self, error: Exception) -> InputError:
        reason = "empty file" if not self.bytes else str(error).splitlines()[0].split(" <")[0]
        return InputError(f"{self.path or 'image'}: not a readable image ({reason}); replace or remove it")


@dataclass(frozen=True)
class Sample:
    """A row of a Dataset. The fields are the columns of its Parquet files, in this order (see `data.schema`).

    `truth` None: the row has no advisory truth (general data). `answer` None: the answer follows from the truth.
    `posterior`: slot -> {value: probability}. `slot_weight` None: every slot counts 1. `evidence` and `provenance` are
    free JSON objects, `evidence` in the form of the architecture page, its boxes in pixels of `images[0]`.
    `conditions` holds str, number or bool; those named in `schema.CONDITIONS` become columns of their own. `camera`
    holds floats named in `schema.CAMERA` for `images[0]`. Speeds are m/s, times s, yaw rate rad/s. An empty string in
    `scene`, `twin_of`, `drive` or `licence` means "none". `segmentation` is a uint8 class map of `images[0]`,
    perhaps smaller.
    """

    id: str
    images: tuple[Picture, ...] = ()
    image_roles: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    task: str = "advisory"
    question: str = ADVISE
    answer: str | None = None
    truth: Truth | None = None
    posterior: Mapping[str, Mapping[str, float]] | None = None
    slot_weight: Mapping[str, float] | None = None
    weight: float = 1.0
    evidence: Mapping[str, Any] | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    source: str = "rendered"
    scene: str = ""
    twin_of: str = ""
    drive: str = ""
    time_s: float | None = None
    speed_mps: float | None = None
    accel_mps2: float | None = None
    yaw_rate: float | None = None
    camera: Mapping[str, float] | None = None
    licence: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    segmentation: Picture | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a sample needs an id")
        if self.source not in SOURCES:
            raise InputError(f"sample {self.id}: source '{self.source}' is not one of {', '.join(SOURCES)}")
        for name, default in (("image_roles", "frame"), ("cameras", "CAM_FRONT")):
            values = getattr(self, name) or (default,) * len(self.images)
            if len(values) != len(self.images):
                raise InputError(f"sample {self.id}: {len(values)} {name} for {len(self.images)} images; give one each")
            object.__setattr__(self, name, tuple(values))
        unknown = set(self.image_roles) - set(ROLES)
        if unknown:
            raise InputError(f"sample {self.id}: image role '{min(unknown)}' is not one of {', '.join(ROLES)}")

    def image(self, index: int = 0) -> Image.Image:
        """Decode `images[index]` to RGB. Raises InputError, naming the sample, when it is missing or corrupt."""
        if index >= len(self.images):
            raise InputError(f"sample {self.id} has {len(self.images)} images, no number {index}")
        try:
            return self.images[index].open()
        except InputError as error:
            raise InputError(f"sample {self.id}: {error}") from None

    def class_map(self) -> np.ndarray | None:
        """The segmentation as HxW uint8 class indices, or None when the sample carries none."""
        return None if self.segmentation is None else self.segmentation.classes()

    @property
    def cluster(self) -> str:
        """What intervals resample: the drive or scene, whose frames are not independent, else the sample itself."""
        return self.drive or self.scene or self.id

    @property
    def network(self) -> str:
        """The road network of a rendered sample ("" when it has none); splits never share one."""
        return str(self.conditions.get("network") or "")
