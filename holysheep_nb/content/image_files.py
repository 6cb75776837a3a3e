"""Image files: which kind they are, and their sides, by the first bytes. Nothing is decoded.

Sources: the PNG, GIF89a and JPEG (ITU T.81, annex B) specifications, and RFC 9649 for WebP.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
import sys
from dataclasses import dataclass

from .images import encode_image

MAX_FILE_BYTES = 3_500_000
MAX_FILE_SIDE = 8000

# The JPEG segments that hold the sides: SOF0 to SOF15, without DHT, JPG and DAC between them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])


@dataclass(frozen=True, slots=True)
class ImageFile:
    """What an image file says of itself: its MIME type, its sides in pixels, and how many bytes it has."""

    mime_type: str
    width: int
    height: int
    bytes: int

    def __str__(self) -> str:
        kind = self.mime_type.removeprefix("image/").upper()
        return f"{kind}, {self.width} × {self.height} pixels, {self.bytes:,} bytes"


def identify(data: bytes) -> ImageFile | None:
    """What the bytes of a PNG, JPEG, GIF or WebP file are; None for anything else, and for one that is cut short."""
    try:
        found = _identify(data)
    except (struct.error, IndexError):
        return None
    return None if found is None else ImageFile(*found, len(data))


def identify_url(url: str) -> ImageFile | None:
    """The same for a data URL."""
    try:
        return identify(base64.b64decode(url.partition(";base64,")[2]))
    except binascii.Error:
        return None


def data_url(data: bytes, file: ImageFile) -> str:
    """The file as a data URL, as it is; one that is too large is made smaller, if PIL is loaded.

    Raises `ValueError` for one that stays too large, and for one that PIL cannot read.
    """
    if max(file.width, file.height) <= MAX_FILE_SIDE and file.bytes <= MAX_FILE_BYTES:
        return f"data:{file.mime_type};base64,{base64.b64encode(data).decode('ascii')}"
    if "PIL.Image" not in sys.modules:
        raise ValueError(f"it is too large ({file}): import PIL.Image, and it is made smaller")
    try:
        return encode_image(sys.modules["PIL.Image"].open(io.BytesIO(data))).url
    except Exception as error:
        raise ValueError(f"it cannot be made smaller ({type(error).__name__})") from error


def _identify(data: bytes) -> tuple[str, int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("image/png", *struct.unpack_from(">II", data, 16))
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return ("image/gif", *struct.unpack_from("<HH", data, 6))
    if data.startswith(b"\xff\xd8\xff"):
        sides = _jpeg_sides(data)
        return None if sides is None else ("image/jpeg", *sides)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        sides = _webp_sides(data)
        return None if sides is None else ("image/webp", *sides)
    return None


def _jpeg_sides(data: bytes) -> tuple[int, int] | None:
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        if marker == 0xFF:
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return None


def _webp_sides(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None
