#!/usr/bin/python3
"""Makes the fixtures of the picture tests with Pillow, which is the definition of every pixel in them.

    /usr/bin/python3 packages/vgg/test/pictures/make_fixtures.py

Made with Debian 12's Pillow 9.4 (python3-pil, python3-numpy). Every picture is computed here from integers; nothing is a photograph.
- pictures.json: encoded pictures, each with the SHA-256 of the RGB bytes that it decodes to;
- resize.json: the RGB bytes of small pictures resized with every filter;
- pipelines.json: SHA-256 of the RGB bytes that Keras's and torchvision's size rules give.
"""
import base64
import hashlib
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

# Not multiples of 8 or 16, so that chroma and blocks end inside.
WIDTH, HEIGHT = 45, 31
OUT = pathlib.Path(__file__).parent / "fixtures"


def pattern(width, height):
    """pixel(x, y, c): waves of three lengths with a hard-edged square and a little noise; the TypeScript tests compute the same."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    value = (x * (3 + c) + y * (7 - 2 * c) + ((x * x + y * y) >> (4 + c)) + 50 * c) % 511
    value = np.where(value > 255, 510 - value, value)
    value = np.where(((x // 9 + y // 11) % 5 == 0), 255 - value, value)
    value = value + ((x * 7919 + y * 104729 + c * 1299709) % 17) - 8
    return np.clip(value, 0, 255).astype(np.uint8)


def photo(width=WIDTH, height=HEIGHT):
    return Image.fromarray(pattern(width, height), "RGB")


def alpha_of(image):
    width, height = image.size
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(((x * 5 + y * 3) % 256 * (x > 9)).astype(np.uint8), "L")


# Colour profile: sRGB's primaries in another order and a gamma of 1.4, so that obeying it would be seen at once.
def profile():
    def fixed(*values):
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    def xyz(*values):
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.4 * 256)) + b"\0\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"swap\0" + b"\0" * 78
    description += b"\0" * (-len(description) % 4)
    tags = [(b"desc", description), (b"wtpt", xyz(0.9642, 1, 0.8249)), (b"rXYZ", xyz(0.1431, 0.0606, 0.7141)),
            (b"gXYZ", xyz(0.3851, 0.7169, 0.0971)), (b"bXYZ", xyz(0.4360, 0.2225, 0.0139)),
            (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve), (b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags:
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"\0\0\0\0", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + fixed(0.9642, 1, 0.8249) + b"\0" * 48
    return head + table + data


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(array, bits, colour_type, interlaced=False, extra=b""):
    """A PNG of [h, w, channels] samples, which Pillow cannot write interlaced or with 16 bits a channel."""
    height, width, _ = array.shape
    samples = array.astype(">u2" if bits == 16 else np.uint8)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]
    raw = b""
    for left, top, right, down in passes:
        part = samples[top::down, left::right]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def pictures():
    image = photo()
    grey = image.convert("L")
    palette = image.quantize(32)
    rgba = image.copy()
    rgba.putalpha(alpha_of(image))
    la = grey.copy()
    la.putalpha(alpha_of(image))
    wide = pattern(WIDTH, HEIGHT).astype(np.uint32) * 257
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    sixteen = ((wide + (x * 331 + y * 97)[:, :, None]) % 65536).astype(np.uint16)
    alpha16 = np.concatenate([sixteen, sixteen[:, ::-1, :1]], axis=2)
    yield "grey.jpg", saved(grey, "JPEG", quality=80)
    yield "rgb-420.jpg", saved(image, "JPEG", quality=85)
    yield "rgb-422.jpg", saved(image, "JPEG", quality=85, subsampling="4:2:2")
    yield "rgb-444.jpg", saved(image, "JPEG", quality=95, subsampling="4:4:4")
    yield "progressive.jpg", saved(image, "JPEG", quality=75, progressive=True)
    yield "profile.jpg", saved(image, "JPEG", quality=85, icc_profile=profile())
    for orientation in range(1, 9):
        yield f"exif-{orientation}.jpg", saved(photo(19, 11), "JPEG", quality=85, exif=exif(orientation))
    yield "1x1.jpg", saved(photo(1, 1), "JPEG", quality=90)
    yield "grey.png", saved(grey, "PNG")
    yield "bits-1.png", saved(grey.convert("1"), "PNG")
    yield "bits-2.png", png_palette(palette.quantize(4), 2)
    yield "palette.png", saved(palette, "PNG")
    yield "palette-transparent.png", saved(palette, "PNG", transparency=palette.getpixel((0, 0)))
    yield "rgb.png", saved(image, "PNG")
    yield "rgb-transparent.png", saved(image, "PNG", transparency=image.getpixel((0, 0)))
    yield "rgba.png", saved(rgba, "PNG")
    yield "grey-alpha.png", saved(la, "PNG")
    yield "rgb-16.png", png(sixteen, 16, 2)
    yield "rgba-16.png", png(alpha16, 16, 6)
    yield "grey-16.png", png(sixteen[:, :, :1], 16, 0)
    yield "interlaced.png", png(pattern(WIDTH, HEIGHT), 8, 2, interlaced=True)
    yield "interlaced-rgba.png", png(np.asarray(rgba), 8, 6, interlaced=True)
    yield "gamma.png", png(pattern(WIDTH, HEIGHT), 8, 2, extra=chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "profile.png", saved(image, "PNG", icc_profile=profile())
    yield "exif-6.png", saved(photo(19, 11), "PNG", exif=exif(6))
    yield "1x1.png", saved(photo(1, 1), "PNG")
    yield "lossless.webp", saved(image, "WEBP", lossless=True)
    yield "lossy.webp", saved(image, "WEBP", quality=80)
    yield "alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "lossy-alpha.webp", saved(rgba, "WEBP", quality=80, exact=True)
    yield "animated.webp", saved(image, "WEBP", save_all=True, append_images=[ImageOps.invert(image)], lossless=True)
    yield "exif-6.webp", saved(photo(19, 11), "WEBP", lossless=True, exif=exif(6))
    yield "profile.webp", saved(image, "WEBP", lossless=True, icc_profile=profile())
    yield "palette.gif", saved(palette, "GIF")
    yield "transparent.gif", saved(palette, "GIF", transparency=palette.getpixel((0, 0)))
    yield "interlaced.gif", saved(palette, "GIF", interlace=1)
    yield "animated.gif", saved(palette, "GIF", save_all=True, append_images=[ImageOps.invert(image).quantize(32)])


def png_palette(image, bits):
    return saved(image, "PNG", bits=bits)


def decoded(data):
    image = Image.open(io.BytesIO(data))
    if image.mode == "I":  # 16-bit grey: Pillow's conversion clips at 255; the rule here is the high byte, as it does for 16-bit RGB
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(grey, "L").convert("RGB")
    return image.convert("RGB")


def upright(data):
    image = Image.open(io.BytesIO(data))
    return ImageOps.exif_transpose(image).convert("RGB") if image.getexif().get(0x0112, 1) != 1 else decoded(data)


def base(data):
    return base64.b64encode(data).decode()


def write(name, value):
    path = OUT / name
    path.write_text(json.dumps(value, indent=1) + "\n")
    print(name, path.stat().st_size)


def make_pictures():
    entries = []
    for name, data in pictures():
        image = decoded(data)
        entry = {"name": name, "width": image.width, "height": image.height, "sha256": digest(image.tobytes())}
        turned = upright(data)
        if turned.tobytes() != image.tobytes() or turned.size != image.size:
            entry["upright"] = {"width": turned.width, "height": turned.height, "sha256": digest(turned.tobytes())}
        entry["bytes"] = base(data)
        entries.append(entry)
    cmyk = saved(photo().convert("CMYK"), "JPEG", quality=80)
    write("pictures.json", {"pictures": entries, "cmyk": base(cmyk)})


FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "hamming": Image.HAMMING,
           "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
# From size to size: down, up, odd, one direction only, one-pixel sides, the same.
SIZES = [(61, 43, 32, 32), (61, 43, 17, 43), (45, 31, 45, 7), (23, 37, 31, 29), (13, 7, 40, 31), (5, 3, 64, 1),
         (1, 1, 7, 5), (1, 29, 13, 11), (47, 1, 16, 3), (100, 75, 1, 1), (90, 67, 23, 15), (19, 19, 19, 19)]


def make_resize():
    cases = []
    for width, height, to_width, to_height in SIZES:
        image = photo(width, height)
        for name, which in FILTERS.items():
            result = image.resize((to_width, to_height), which).tobytes()
            cases.append({"from": [width, height], "to": [to_width, to_height], "filter": name,
                          "bytes": base(zlib.compress(result, 9))})
    digests = []
    # The last shows the single precision of two constants of the Hamming filter: one byte of 44,550.
    for width, height, size in [(500, 375, (128, 128)), (500, 375, (224, 224)), (500, 375, (317, 511)), (333, 499, (150, 99))]:
        image = photo(width, height)
        for name, which in FILTERS.items():
            digests.append({"from": [width, height], "to": size, "filter": name, "sha256": digest(image.resize(size, which).tobytes())})
    write("resize.json", {"compression": "deflate", "cases": cases, "digests": digests})


def make_pipelines():
    """Digests of the pictures that go into the network, over sizes on which rounding could go either way."""
    cases = []
    for width, height in [(500, 375), (375, 500), (333, 251), (224, 224), (256, 256), (257, 256), (1000, 31), (31, 33), (640, 427), (301, 450)]:
        image = photo(width, height)
        keras = image.resize((224, 224), Image.NEAREST)
        cases.append({"from": [width, height], "pipeline": "keras", "sha256": digest(keras.tobytes())})
        for pipeline, which in (("torchvision", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
            # torchvision 0.28 transforms: _compute_resized_output_size and center_crop
            short, long = min(width, height), max(width, height)
            longer = int(256 * long / short)
            sized = image.resize((256, longer) if width <= height else (longer, 256), which)
            top, left = int(round((sized.height - 224) / 2.0)), int(round((sized.width - 224) / 2.0))
            cropped = sized.crop((left, top, left + 224, top + 224))
            cases.append({"from": [width, height], "pipeline": pipeline, "sha256": digest(cropped.tobytes())})
    write("pipelines.json", {"cases": cases})


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    make_pictures()
    make_resize()
    make_pipelines()
