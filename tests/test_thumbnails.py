from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clarify_widget.thumbnails import ThumbnailCache, encode_original, encode_thumbnail


def opened(encoded):
    return Image.open(io.BytesIO(encoded))


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 900), height=st.integers(1, 900), side=st.integers(96, 320))
def test_short_side_is_as_asked_unless_the_image_is_smaller(width, height, side):
    thumbnail = opened(encode_thumbnail(Image.new("RGB", (width, height)), side))

    assert max(thumbnail.size) <= 4 * side
    if max(width, height) <= 4 * min(width, height):
        assert min(thumbnail.size) == min(side, width, height)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_becomes_an_rgb_jpeg(mode):
    thumbnail = opened(encode_thumbnail(Image.new(mode, (300, 200)), 96))

    assert (thumbnail.format, thumbnail.mode, thumbnail.size) == ("JPEG", "RGB", (144, 96))


def test_rotation_is_applied_and_metadata_left_behind():
    image = Image.new("RGB", (300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)

    thumbnail = opened(encode_thumbnail(opened(buffer.getvalue()), 96))

    assert thumbnail.size == (96, 144)
    assert not thumbnail.getexif()


def test_small_original_is_kept_without_loss():
    image = Image.effect_noise((64, 64), 80).convert("RGB")

    encoded, mime, size = encode_original(image)

    assert (mime, size) == ("image/png", (64, 64))
    assert opened(encoded).convert("RGB").tobytes() == image.tobytes()


def test_huge_original_is_cut_to_a_size_that_travels():
    encoded, mime, size = encode_original(Image.new("RGB", (5000, 2500)))

    assert (mime, size) == ("image/jpeg", (2048, 1024))
    assert opened(encoded).size == size


def test_cache_encodes_once_and_forgets_the_least_recently_used():
    encoded = []
    cache = ThumbnailCache(most_bytes=10)

    def get(key):
        return cache.get(key, lambda: encoded.append(key) or b"12345")

    for key in ("a", "b", "a", "c", "a", "b"):
        assert get(key) == b"12345"

    assert encoded == ["a", "b", "c", "b"]
