"""Opening a picture from anywhere, and fitting it to the shape that a model was trained on.

Real frames come as 416x416, 526x330, 800x600, 1280x720, with EXIF rotation, palettes and alpha. A small model
trained on one shape (16:9) must see that shape, else its position codes and object sizes are ones it never met.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pacenote.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from pacenote.data.sample import Sample

Fit = Literal["auto", "crop", "pad", "stretch"]
FITS: tuple[str, ...] = get_args(Fit)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

MAX_PIXELS = 64_000_000  # 64 Mpx: above any camera in a car, below what fills the memory of a small machine
MIN_SIDE = 16
# Of the rows that a crop must give up, this share goes from the top. The bonnet and the road right before the car fill
# the bottom of a 4:3 frame; overhead lights stand near its top.
TOP_SHARE = 0.35


def open_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> "Image.Image":
    """The picture at `path`, upright (EXIF), RGB, any alpha laid on grey.

    The pixel count is read from the header and refused before anything is decoded, so a decompression bomb costs
    nothing. Raises InputError for a missing, empty, corrupt, too large or too small file.
    """
    from PIL import Image

    if not path.is_file():
        raise InputError(f"{path}: no such image; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy it again")
    # Pillow's own bomb check warns between its limit and twice it, and raises above; ours is the stricter, and named.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise InputError(
                    f"{path}: {width}x{height} is over {max_pixels / 1e6:.0f} megapixels; scale it down first"
                )
            if min(width, height) < MIN_SIDE:
                raise InputError(f"{path}: {width}x{height} is too small to show a road; give at least {MIN_SIDE} px")
            return upright(image)
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, MemoryError) as error:
        reason = str(error).split("\n")[0].replace(str(path), "").strip(" '") or type(error).__name__
        raise InputError(f"{path}: not a readable image ({reason}); re-export it as JPEG or PNG") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def upright(image: "Image.Image") -> "Image.Image":
    """`image` decoded, turned as its EXIF says, as 8-bit RGB."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or (image.mode == "P" and "transparency" in image.info):
        rgba = image.convert("RGBA")
        grey = Image.new("RGBA", rgba.size, (127, 127, 127, 255))
        return Image.alpha_composite(grey, rgba).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # 16-bit greys: Pillow would clip them to white
        import numpy as np

        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        return Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def fit_frame(image: "Image.Image", size: tuple[int, int], how: Fit = "auto") -> "Image.Image":
    """`image` as RGB of exactly `size` = (width, height) px.

    - `crop`: keep the aspect, fill `size`, cut what stands over: sides equally, of the rows 35 % from the top.
    - `pad`: keep the aspect and everything, centred, grey bars.
    - `stretch`: scale each axis on its own.
    - `auto` (default): `stretch` where the aspect is within 3 % of the wanted one *or exactly square*, else `crop`.
      No car camera makes square pictures: they are exports that squeezed a wide frame, and stretching undoes that.
      For 4:3 and 16:10 a crop keeps the scale of lights and cones, which matters more than the rows it loses.
    """
    from PIL import Image, ImageOps

    if how not in FITS:
        raise InputError(f"unknown fit {how!r}; choose one of {', '.join(FITS)}")
    if image.mode != "RGB":
        image = image.convert("RGB")
    if image.size == size:
        return image
    how = _settled(image.size, size, how)
    resample = Image.Resampling.LANCZOS
    if how == "stretch":
        return image.resize(size, resample)
    if how == "pad":
        return ImageOps.pad(image, size, resample, color=(127, 127, 127))
    return image.resize(size, resample, box=crop_box(image.size, size))


def unfitted(
    box: tuple[float, float, float, float], source: tuple[int, int], size: tuple[int, int], how: Fit = "auto"
) -> tuple[float, float, float, float]:
    """A box in px of what `fit_frame` made of a `source`-sized picture, in px of that picture."""
    how = _settled(source, size, how)
    x0, y0, x1, y1 = 0.0, 0.0, float(source[0]), float(source[1])  # what of the source fills `size`
    if how == "crop":
        x0, y0, x1, y1 = crop_box(source, size)
    elif how == "pad":  # bars are beyond the source
        scale = min(size[0] / source[0], size[1] / source[1])
        bars = (size[0] / scale - source[0]) / 2, (size[1] / scale - source[1]) / 2
        x0, y0, x1, y1 = -bars[0], -bars[1], source[0] + bars[0], source[1] + bars[1]
    wide, high = (x1 - x0) / size[0], (y1 - y0) / size[1]
    return x0 + box[0] * wide, y0 + box[1] * high, x0 + box[2] * wide, y0 + box[3] * high


def _settled(source: tuple[int, int], size: tuple[int, int], how: Fit) -> Fit:
    """What `auto` comes to for a picture of `source` px; see `fit_frame`."""
    if how != "auto":
        return how
    ratio = (source[0] / source[1]) / (size[0] / size[1])
    return "stretch" if source[0] == source[1] or abs(ratio - 1) < 0.03 else "crop"


def fitted(sample: "Sample", size: tuple[int, int] | None, how: Fit = "auto") -> "tuple[Image.Image, ...]":
    """The sample's pictures as a model of this `frame_size` takes them: frames brought to it, crops and the like as
    they are."""
    images = tuple(sample.image(i) for i in range(len(sample.images)))
    if size is None:
        return images
    roles = zip(images, sample.image_roles, strict=True)
    return tuple(fit_frame(image, size, how) if role in ("frame", "previous") else image for image, role in roles)


def frame_size(model: Any) -> tuple[int, int] | None:
    """The (width, height) px to which `model`'s frames are fitted; None for a model that takes any shape as it comes.

    A processor held to under half a megapixel belongs to a model trained on one shape: 16:9 frames, half as wide again
    as what it sees (672x378 for 448x252), the way the Datasets store them. Larger ones (Qwen2.5-VL as published: 12.8
    megapixels) met every aspect in their training.
    """
    limit = pixel_limit(model)
    if limit is None or limit > 500_000:
        return None
    width = round(1.5 * (limit * 16 / 9) ** 0.5)
    return width, round(width * 9 / 16)


def pixel_limit(model: Any) -> int | None:
    """The most pixels that the model's image processor passes on; None where it does not say (families with tiles)."""
    if getattr(getattr(model, "family", None), "nested_tiles", False):
        return None  # its `longest_edge` is the length of a side
    size = getattr(getattr(model.processor, "image_processor", None), "size", None) or {}
    limit = size.get("longest_edge") if hasattr(size, "get") else getattr(size, "longest_edge", None)
    return None if limit is None else int(limit)


def crop_box(source: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part (x0, y0, x1, y1) in px of a `source`-sized picture that `crop` keeps for `size`."""
    width, height = source
    wanted = size[0] / size[1]
    if width / height > wanted:
        keep = height * wanted
        x0 = (width - keep) / 2
        return (x0, 0.0, x0 + keep, float(height))
    keep = width / wanted
    y0 = (height - keep) * TOP_SHARE
    return (0.0, y0, float(width), y0 + keep)


def find_images(paths: list[Path]) -> list[Path]:
    """The picture files among `paths`: files as given, directories searched in depth, in sorted order."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            inside = [p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)]
            if not inside:
                raise InputError(f"{path}: no pictures in this folder; expected {', '.join(SUFFIXES)}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file or folder; check the path")
    return list(dict.fromkeys(found))
