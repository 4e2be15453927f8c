"""Real files, written by Pillow, and everything else that can stand for an image."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchvision.transforms import functional

from clarify_widget.datasets.dataset import ImageSequence
from clarify_widget.datasets.images import ImageList, open_image, reason_of
from clarify_widget.errors import DataError, ImageReadError

SIDES = st.integers(200, 1500)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def two_tone(size=(8, 4), left=RED, right=BLUE):
    """Left half of one colour, right half of another."""
    image = PIL.Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "bmp", "gif", "webp", "tiff", "ppm"])
def test_file_formats_open_as_rgb(tmp_path, kind):
    path = tmp_path / f"image.{kind}"
    options = {"lossless": True} if kind == "webp" else {}
    two_tone().save(path, **options)
    image = open_image(path)
    assert image.mode == "RGB"
    assert (image.getpixel((0, 0)), image.getpixel((7, 3))) == (RED, BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_every_pillow_mode_opens_as_rgb_of_the_same_colour(mode):
    white = PIL.Image.new("RGB", (5, 3), WHITE).convert(mode)
    image = open_image(white)
    assert image.mode == "RGB"
    assert image.size == (5, 3)
    assert np.asarray(image).min() >= 254


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    path = tmp_path / "cmyk.jpg"
    PIL.Image.new("RGB", (16, 16), RED).convert("CMYK").save(path, quality=100)
    red, green, blue = open_image(path).getpixel((8, 8))
    assert red > 240
    assert max(green, blue) < 15


def test_palette_png_with_transparency_lies_on_white(tmp_path):
    path = tmp_path / "palette.png"
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putdata([0, 1])
    image.save(path, transparency=1)
    opened = open_image(path)
    assert [opened.getpixel((column, 0)) for column in range(2)] == [RED, WHITE]


def test_half_transparent_pixels_are_blended_with_white():
    image = PIL.Image.new("RGBA", (2, 2), (255, 0, 0, 128))
    red, green, blue = open_image(image).getpixel((0, 0))
    assert red == 255
    assert green == blue == pytest.approx(127, abs=1)


def test_sixteen_bit_png_keeps_its_greys(tmp_path):
    path = tmp_path / "deep.png"
    greys = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    PIL.Image.fromarray(greys).save(path)
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 100, 255]


def test_floating_point_tiff_is_scaled(tmp_path):
    path = tmp_path / "float.tiff"
    PIL.Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(path)
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize(("mode", "value", "grey"), [("I", 200, 200), ("I", 65535, 255), ("F", 200.0, 200)])
def test_deep_greys_are_read_by_what_they_hold(mode, value, grey):
    assert open_image(PIL.Image.new(mode, (2, 2), value)).getpixel((0, 0)) == (grey,) * 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    """The way cameras write it: pixels stored turned, the tag saying how to turn them back."""
    stored_as = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
        3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
        5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_90,
        7: PIL.Image.Transpose.TRANSVERSE,
        8: PIL.Image.Transpose.ROTATE_270,
    }
    upright = two_tone((64, 32))
    stored = upright.transpose(stored_as[orientation]) if orientation > 1 else upright
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "camera.jpg"
    stored.save(path, exif=exif, quality=95)
    opened = open_image(path)
    assert opened.size == (64, 32)
    assert np.abs(np.asarray(opened, int) - np.asarray(upright, int)).mean() < 10


def test_an_image_of_the_callers_own_is_left_as_it_is():
    camera = two_tone((64, 32))
    camera.getexif()[0x0112] = 6
    opened = open_image(camera)
    opened.paste("red", (0, 0, *opened.size))
    assert opened.size == (32, 64)
    assert camera.size == (64, 32)
    assert camera.getexif()[0x0112] == 6
    assert np.array_equal(np.asarray(camera), np.asarray(two_tone((64, 32))))
    plain = two_tone((64, 32))
    open_image(plain).paste("red", (0, 0, 64, 32))
    assert np.array_equal(np.asarray(plain), np.asarray(two_tone((64, 32))))


def test_damaged_exif_does_not_cost_the_image():
    data = encoded(two_tone((32, 32)), "jpeg", exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff\x00garbage")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert open_image(data).size == (32, 32)


def test_animated_gif_shows_its_first_frame(tmp_path):
    path = tmp_path / "moving.gif"
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in (GREEN, RED, BLUE)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert open_image(path).getpixel((1, 1)) == GREEN


def test_bytes_paths_images_arrays_and_functions_agree(tmp_path):
    image = two_tone()
    path = tmp_path / "image.png"
    image.save(path)
    array = np.asarray(image)
    sources = [
        path,
        str(path),
        path.read_bytes(),
        bytearray(path.read_bytes()),
        image,
        array,
        array / 255,
        (array / 255).astype(np.float16),
        array.astype(np.int64),
        array.astype(np.uint16) * 257,
        lambda: path,
        lambda: array,
        lambda: lambda: image,
    ]
    for source in sources:
        assert np.array_equal(np.asarray(open_image(source)), array)


def test_torch_tensors_have_their_channels_first_or_last():
    array = np.asarray(two_tone((8, 6)))
    tensor = torch.from_numpy(array.copy())
    first = tensor.permute(2, 0, 1)
    halves = [(first / 255).to(kind) for kind in (torch.float16, torch.float32, torch.float64)]
    for source in (tensor, first, *halves, (first / 255).requires_grad_(), first.long()):
        assert np.array_equal(np.asarray(open_image(source)), array)
    rounded = np.asarray(open_image((first / 255).to(torch.bfloat16)), int)
    assert np.abs(rounded - array).max() <= 1
    assert np.array_equal(np.asarray(open_image(first[:1]))[:, :, 0], array[:, :, 0])


def test_tensors_agree_with_torchvision():
    image = two_tone((9, 5))
    for tensor in (functional.to_tensor(image), functional.pil_to_tensor(image)):
        assert np.array_equal(np.asarray(open_image(tensor)), np.asarray(image))


def test_normalised_tensors_say_what_to_do():
    tensor = functional.normalize(
        functional.to_tensor(two_tone()), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    with pytest.raises(ImageReadError, match="if they were normalised, give the images from before that"):
        open_image(tensor)


def test_dictionaries_of_hugging_face_open_by_their_bytes_or_else_their_path(tmp_path):
    path = tmp_path / "image.png"
    two_tone().save(path)
    inside = {"bytes": path.read_bytes(), "path": "inside/an/archive.png"}
    outside = {"bytes": None, "path": str(path)}
    images = ImageList([inside, outside])
    assert [images.name(0), images.name(1)] == ["inside/an/archive.png", str(path)]
    assert [images.path(0), images.path(1)] == [None, str(path)]
    for image in (images[0], images[1], open_image(inside), open_image(outside)):
        assert np.array_equal(np.asarray(image), np.asarray(two_tone()))
    for empty in ({"bytes": None, "path": None}, {"pixels": 3}):
        with pytest.raises(ImageReadError, match="neither image bytes nor a path"):
            open_image(empty)


def test_a_function_may_fetch_an_address():
    fetched = []

    def fetch():
        fetched.append("https://example.org/cat.png")
        return encoded(two_tone(), "png")

    images = ImageList([fetch], ["cat"])
    assert fetched == []
    assert images[0].size == (8, 4)
    assert len(fetched) == 1


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)), st.booleans())
def test_grey_arrays_keep_their_values_with_or_without_a_channel_axis(grey, axis):
    opened = np.asarray(open_image(grey[:, :, None] if axis else grey))
    assert np.array_equal(opened, np.stack([grey] * 3, axis=2))


def test_opening_leaves_the_source_alone():
    image = two_tone()
    opened = open_image(image)
    opened.paste(GREEN, (0, 0, 8, 4))
    assert image.getpixel((0, 0)) == RED


BAD_ARRAYS = {
    "channels first": np.zeros((3, 8, 8), np.uint8),
    "not \\(H, W\\)": np.zeros((8, 8, 2), np.uint8),
    "not \\(H, W\\),": np.zeros(8, np.uint8),
    "no pixels": np.zeros((0, 8, 3), np.uint8),
    "if they were normalised": np.linspace(-2, 2, 12).reshape(2, 2, 3),
    "floats must be 0..1; got 0..255; divide by 255": np.linspace(0, 255, 12).reshape(2, 2, 3),
    "NaN": np.full((2, 2), np.nan),
    "whole numbers must be 0..255; got -1..-1": np.full((2, 2), -1),
    "not an image": np.full((2, 2), 1 + 1j),
}


@pytest.mark.parametrize("reason", BAD_ARRAYS)
def test_array_that_is_no_image_says_why(reason):
    with pytest.raises(ImageReadError, match=reason):
        open_image(BAD_ARRAYS[reason])


def bad_files(folder):
    """Yield (name, path, what the reason must say)."""
    whole = encoded(two_tone((64, 64)), "jpeg")
    (folder / "folder").mkdir()
    for name, data, reason in [
        ("empty.jpg", b"", "the file is empty"),
        ("truncated.jpg", whole[: len(whole) // 2], "truncated"),
        ("truncated.png", encoded(two_tone((64, 64)), "png")[:60], "."),
        ("text.jpg", b"<html>not found</html>", "not an image that Pillow knows"),
        ("noise.png", bytes(range(256)) * 4, "not an image that Pillow knows"),
    ]:
        (folder / name).write_bytes(data)
        yield name, folder / name, reason
    yield "missing.jpg", folder / "missing.jpg", "there is no such file"
    yield "folder", folder / "folder", "it is a folder"
    yield "nul", "a\0b.jpg", "."
    yield "web", "https://example.org/cat.jpg", "download the image first"


def test_unreadable_files_are_named_with_their_reason(tmp_path):
    for name, path, reason in bad_files(tmp_path):
        with pytest.raises(ImageReadError, match=reason) as caught:
            open_image(path, name)
        assert str(caught.value).startswith(f"Cannot read {name}: ")
        assert reason_of(caught.value) == str(caught.value).removeprefix(f"Cannot read {name}: ")


def test_decompression_bomb_is_refused_before_it_is_decoded():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    import zlib

    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with pytest.raises(ImageReadError, match="more pixels than Pillow's limit"):
        open_image(png + b"\x00\x00\x00\x00IDAT")


def fails():
    message = "the disk is gone"
    raise RuntimeError(message)


@pytest.mark.parametrize(
    ("source", "reason"), [(fails, "the disk is gone"), (lambda: 7, "int is not an image")]
)
def test_function_that_gives_no_image_is_an_unreadable_image(source, reason):
    with pytest.raises(ImageReadError, match=reason):
        open_image(source, "third")


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_damaged_files_either_open_or_raise_image_read_error(data):
    kind = data.draw(st.sampled_from(["png", "jpeg", "gif", "bmp", "tiff", "webp"]))
    whole = bytearray(encoded(two_tone((16, 16)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImageReadError):
            assert open_image(bytes(whole[:cut])).mode == "RGB"


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_reduced_jpeg_looks_like_the_whole_one_made_smaller(tmp_path, orientation):
    rng = np.random.default_rng(0)
    scene = PIL.Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((1600, 1200))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    scene.save(tmp_path / "large.jpg", quality=95, exif=exif)
    images = ImageList([tmp_path / "large.jpg"])

    whole, reduced = images[0], images.reduced(0, 140)
    assert reduced.size == (whole.width // 8, whole.height // 8)
    difference = np.abs(np.asarray(whole.resize(reduced.size), float) - np.asarray(reduced, float))
    assert difference.mean() < 3
    assert images.reduced(0, 200).size == (whole.width // 4, whole.height // 4)
    assert images.reduced(0, 4000).size == whole.size


def test_image_list_opens_nothing_until_asked():
    opened = []
    images = ImageList([lambda i=i: opened.append(i) or PIL.Image.new("RGB", (2, 2)) for i in range(3)])
    assert isinstance(images, ImageSequence)
    assert len(images.take(np.array([2, 0]))) == 2
    assert opened == []
    images.take(np.array([2, 0]))[0]
    assert opened == [2]


def test_image_list_names_follow_their_images(tmp_path):
    names = ["ünïcode 😀.png", "<b>bold</b>.png", "plain.png"]
    for name in names:
        two_tone().save(tmp_path / name.replace("/", "_"))
    images = ImageList([tmp_path / name.replace("/", "_") for name in names], names)
    taken = images.take(np.array([2, 0]))
    assert [taken.name(0), taken.name(1)] == [names[2], names[0]]
    assert taken[1].size == (8, 4)
    assert ImageList([two_tone()]).name(0) == "image 0"


def test_pil_images_keep_the_names_of_their_files(tmp_path):
    two_tone().save(tmp_path / "kept.png")
    with PIL.Image.open(tmp_path / "kept.png") as image:
        images = ImageList([image, two_tone()])
    assert images.name(0) == str(tmp_path / "kept.png")
    assert images.name(1) == "image 1"


def test_image_list_wants_one_name_an_image():
    with pytest.raises(DataError, match="2 entries for 1 images"):
        ImageList([two_tone()], ["a", "b"])


def test_identity_changes_with_the_file_and_exists_only_for_files(tmp_path):
    path = tmp_path / "image.png"
    two_tone().save(path)
    images = ImageList([path, two_tone(), tmp_path / "missing.png"])
    before = images.identity(0)
    assert before == images.identity(0)
    assert images.identity(1) is None
    assert images.identity(2) is None
    path.write_bytes(path.read_bytes())
    assert images.identity(0) != before


@settings(max_examples=20, deadline=None)
@given(
    width=st.integers(200, 1500),
    height=st.integers(200, 1500),
    least=st.integers(20, 300),
    turn=st.booleans(),
)
def test_a_jpeg_opened_for_a_small_picture_is_smaller_and_looks_the_same(width, height, least, turn):
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    whole = PIL.Image.fromarray(np.broadcast_to(ramp, (height, width))).convert("RGB")
    exif = PIL.Image.Exif()
    if turn:
        exif[0x0112] = 6
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", exif=exif)
    opened, reduced = open_image(buffer.getvalue()), open_image(buffer.getvalue(), least_side=least)
    assert opened.size == ((height, width) if turn else (width, height))
    assert min(reduced.size) >= min(least, *opened.size)
    assert max(reduced.size) <= max(opened.size)
    assert max(reduced.size) < max(opened.size) or min(opened.size) < 2 * least
    small = (40, 40)
    difference = np.subtract(
        np.asarray(opened.resize(small, PIL.Image.Resampling.BOX), dtype=int),
        np.asarray(reduced.resize(small, PIL.Image.Resampling.BOX), dtype=int),
    )
    assert np.abs(difference).max() <= 12


def test_what_is_no_jpeg_comes_as_it_is():
    drawing = PIL.Image.new("RGB", (400, 300), "red")
    buffer = io.BytesIO()
    drawing.save(buffer, "PNG")
    for source in (drawing, buffer.getvalue(), np.asarray(drawing), buffer.getvalue):
        assert open_image(source, least_side=50).size == (400, 300)
