"""Images for a model: PNG as data URLs, of bounded sides and bytes."""

from __future__ import annotations

import base64
import io
import struct
import sys
from dataclasses import dataclass
from typing import Any

MAX_SIDE = 1568
MAX_BYTES = 2_000_000

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHRINK = 0.7
_READY_FOR_PNG = {"L", "LA", "RGB", "RGBA"}
_WITH_PALETTE = {"P", "PA", "RGBa", "La"}
_OF_ANY_RANGE = {"F", "I", "I;16", "I;16B", "I;16L", "I;16N"}


@dataclass(frozen=True)
class Picture:
    """An encoded image: a data URL, and its sides in pixels."""

    url: str
    width: int
    height: int


def draw_figure(figure: Any) -> Picture:
    """A matplotlib figure as it is saved to a file, with fewer pixels where it has too many.

    Raises what drawing it raises, and `ValueError` when it has no pixels.
    """
    dpi = min(figure.dpi, MAX_SIDE / max(figure.get_size_inches()))
    while True:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi, bbox_inches=figure.bbox_inches, transparent=False)
        if file.tell() <= MAX_BYTES:
            return read_png(file.getvalue())
        dpi *= _SHRINK


def encode_image(image: Any) -> Picture:
    """A PIL image, made smaller where it is too large. The image itself stays as it is.

    Raises what PIL raises, and `ValueError` when it has no pixels.
    """
    if not image.width or not image.height:
        raise ValueError("it has no pixels")
    image = _with_plain_colors(image)
    scale = min(1.0, MAX_SIDE / max(image.size))
    while True:
        width, height = (max(1, round(side * scale)) for side in image.size)
        sized = image if scale == 1.0 else image.resize((width, height), reducing_gap=2.0)
        file = io.BytesIO()
        sized.save(file, format="png")
        if file.tell() <= MAX_BYTES:
            return read_png(file.getvalue())
        scale *= _SHRINK


def read_png(data: bytes) -> Picture:
    """The bytes of a PNG file, as they are if they are few enough. Making the image smaller takes PIL, if it is loaded.

    Raises `ValueError` for bytes that are no PNG file, and for an image that stays too large.
    """
    if not data.startswith(_SIGNATURE) or len(data) < 24:
        raise ValueError("it is not PNG")
    width, height = struct.unpack(">II", data[16:24])
    if max(width, height) > MAX_SIDE or len(data) > MAX_BYTES:
        if "PIL.Image" in sys.modules:
            return encode_image(sys.modules["PIL.Image"].open(io.BytesIO(data)))
        raise ValueError(f"it is too large ({width} × {height})")
    return Picture(f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}", width, height)


def _with_plain_colors(image: Any) -> Any:
    if image.mode in _READY_FOR_PNG:
        return image
    if image.mode in _WITH_PALETTE:
        return image.convert("RGBA")
    if image.mode in _OF_ANY_RANGE:
        wide = image.convert("F")
        low, high = wide.getextrema()
        scale = 255 / (high - low) if high > low else 0.0
        return wide.point(lambda value: value * scale - low * scale).convert("L")
    return image.convert("L" if image.mode == "1" else "RGB")
