"""Folders of pictures as other programs write them, read as Pillow reads them; and what an import says of everything
else."""

import gzip
import io
import os
import struct
import tarfile
import zlib

import h5py
import numpy
import pytest
from PIL import Image, ImageCms, ImageOps

from conftest import PROGRAM, Running, gan_dist

SIDE = 24
ORIENTATION = 0x0112


def import_(kind, *arguments, out, code=0):
    out.unlink(missing_ok=True)
    finished = gan_dist("data", "import", kind, *arguments, "--out", out)
    assert finished.code == code, finished
    return finished


def images(path):
    with h5py.File(path) as file:
        return file["images"][()].astype(int)


def picture(channels, height=SIDE, width=SIDE):
    """Values of 0 … 1 without symmetry, smooth enough for JPEG."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [0.5 + 0.45 * numpy.sin(x / (5 + c) + c) * numpy.cos(y / 9 - c) for c in range(channels)]
    return numpy.stack(planes, -1)


def bytes_of(channels, **size):
    return (picture(channels, **size) * 255).round().astype(numpy.uint8).squeeze()


# MARK: PNG files that Pillow does not write

def chunk(kind, content, damaged=False):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ damaged)


def rows(values, bits):
    """The rows of an image [H, W, C], each after the byte of its filter."""
    if bits == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    if bits == 8:
        return b"".join(b"\0" + row.astype(numpy.uint8).tobytes() for row in values)
    spread = (values.reshape(len(values), -1, 1) >> numpy.arange(bits - 1, -1, -1)) & 1
    return b"".join(b"\0" + numpy.packbits(row.reshape(-1)).tobytes() for row in spread)


def png(values, bits, kind, chunks=(), interlaced=False, after=()):
    """A PNG file of the samples [H, W, C]; `kind` is its colour type."""
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, kind, 0, 0, interlaced)
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = adam7 if interlaced else [(0, 0, 1, 1)]
    data = zlib.compress(b"".join(rows(values[y::down, x::right], bits) for y, x, down, right in passes))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", data) + b"".join(after)
            + chunk(b"IEND", b""))


GAMMA = chunk(b"gAMA", struct.pack(">I", 100000))
DARK = chunk(b"gAMA", struct.pack(">I", 45455))
SRGB = chunk(b"sRGB", b"\0")
PRIMARIES = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
PROFILE = chunk(b"iCCP", b"p\0\0" + zlib.compress(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()))
BAD_TEXT = chunk(b"tEXt", b"Comment\0none", damaged=True)


def colours(kind, bits):
    """Samples of a colour type with this many bits."""
    return (picture({0: 1, 2: 3, 4: 2, 6: 4}[kind]) * (2 ** bits - 1)).round().astype(int)


def on(background, values):
    """Grey or colour with or without alpha, all in 0 … 255, as RGB on the background."""
    channels = values.shape[-1]
    alpha = values[..., -1:] / 255 if channels % 2 == 0 else 1
    return numpy.broadcast_to(values[..., :1] if channels < 3 else values[..., :3],
                              (*values.shape[:2], 3)) * alpha + numpy.array(background) * (1 - alpha)


def crafted(folder, background):
    """Writes PNG files of every depth with every chunk of colour, and returns what they are to be."""
    expected = {}
    for kind, bits in [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)]:
        values = colours(kind, bits)
        right = on(background, values * 255 / (2 ** bits - 1))
        for name, chunks in {"plain": (), "gamma": (GAMMA,), "dark": (DARK, PRIMARIES), "srgb": (SRGB,),
                             "profile": (PROFILE,), "text": (BAD_TEXT,)}.items():
            for interlaced in (False, True):
                file = f"png-{kind}-{bits}-{name}-{interlaced}.png"
                (folder / file).write_bytes(png(values, bits, kind, chunks, interlaced, after=(BAD_TEXT,)))
                expected[file] = right
    # One value stands for "transparent".
    for kind, bits in [(0, 2), (0, 8), (0, 16), (2, 8), (2, 16)]:
        values = colours(kind, bits)
        key = values[5, 7]
        shown = numpy.where((values == key).all(-1, keepdims=True), 0, 255)
        right = on(background, numpy.concatenate([values * 255 / (2 ** bits - 1), shown], -1))
        file = f"key-{kind}-{bits}.png"
        (folder / file).write_bytes(png(values, bits, kind, [chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))]))
        expected[file] = right
    for bits in (1, 2, 4, 8):
        palette = (numpy.random.default_rng(bits).integers(0, 256, (2 ** bits, 3))).astype(numpy.uint8)
        alpha = numpy.linspace(255, 0, 2 ** bits).astype(numpy.uint8)
        index = colours(0, bits)
        for name, chunks, values in [("plain", [], palette[index[..., 0]]),
                                     ("alpha", [chunk(b"tRNS", alpha.tobytes())],
                                      numpy.concatenate([palette, alpha[:, None]], 1)[index[..., 0]])]:
            for interlaced in (False, True):
                file = f"palette-{bits}-{name}-{interlaced}.png"
                (folder / file).write_bytes(png(index, bits, 3, [GAMMA, chunk(b"PLTE", palette.tobytes()), *chunks],
                                                interlaced))
                expected[file] = on(background, values)
    return expected


# MARK: Files that Pillow writes, and reads for comparison

def saved(image, kind, **options):
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def others():
    """Files of all formats, as bytes by their names."""
    grey, rgb, rgba = (Image.fromarray(bytes_of(channels)) for channels in (1, 3, 4))
    files = {}
    for name, image in {"grey": grey, "rgb": rgb, "la": rgba.convert("LA"), "rgba": rgba, "p": rgb.quantize(200),
                        "1": grey.convert("1")}.items():
        files[f"pil-{name}.png"] = saved(image, "PNG")
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
            files[f"{name}-{compression}.tif"] = saved(image, "TIFF", compression=compression)
    for image in (grey, rgb):
        for name, options in {"444": {"subsampling": 0}, "420": {"subsampling": 2},
                              "progressive": {"progressive": True}}.items():
            files[f"{image.mode}-{name}.jpg"] = saved(image, "JPEG", quality=90, **options)
    cmyk = saved(Image.fromarray(bytes_of(4), "CMYK"), "JPEG", quality=90)
    files["cmyk.jpg"] = cmyk
    adobe = cmyk.index(b"Adobe")
    files["cmyk-without-marker.jpg"] = cmyk[:adobe - 4] + cmyk[adobe + 12:]
    files["ycck.jpg"] = cmyk[:adobe + 11] + b"\2" + cmyk[adobe + 12:]
    files["rgb-stored.jpg"] = saved(rgb, "JPEG", keep_rgb=True)
    plain = saved(rgb, "JPEG")
    files["extraneous.jpg"] = plain[:-2] + b"\0\1\2\3" + plain[-2:]
    files["after.jpg"] = plain + b"what a camera appends"
    files["profile.jpg"] = saved(rgb, "JPEG", icc_profile=b"no profile at all")
    files["damaged-exif.jpg"] = saved(rgb, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    files["short-exif.jpg"] = saved(rgb, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    for orientation in range(1, 9):
        exif = turned(orientation)
        files[f"turned-{orientation}.jpg"] = saved(rgb, "JPEG", exif=exif)
        files[f"turned-{orientation}.png"] = saved(grey, "PNG", exif=exif)
        files[f"turned-{orientation}.webp"] = saved(rgb, "WEBP", exif=exif, lossless=True)
        files[f"turned-{orientation}.tiff"] = saved(rgba, "TIFF", exif=exif)
    files["big-endian.jpg"] = saved(rgb, "JPEG",
                                    exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
    for name, options in {"lossy": {}, "lossless": {"lossless": True, "exact": True},
                          "animated": {"save_all": True, "append_images": [rgb, rgb], "lossless": True}}.items():
        files[f"rgb-{name}.webp"] = saved(rgb.rotate(90), "WEBP", **options)
        files[f"rgba-{name}.webp"] = saved(rgba.rotate(90), "WEBP", **options)
    files["cmyk.tif"] = saved(Image.fromarray(bytes_of(4), "CMYK"), "TIFF")
    files["jpeg.tif"] = saved(rgb, "TIFF", compression="jpeg")
    files["fax.tif"] = saved(grey.convert("1"), "TIFF", compression="group4")
    # Formats by content, whatever the name says.
    files["png-as.jpg"] = files["pil-rgb.png"]
    files["jpeg-as.png"] = files["RGB-444.jpg"]
    files["png-as.bmp"] = files["pil-grey.png"]
    files["no-extension"] = files["RGB-420.jpg"]
    files["WEBP.JPEG"] = files["rgb-lossy.webp"]
    return files


def pillow(content, background):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        return numpy.asarray(Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)),
                                                   image.convert("RGBA")).convert("RGB"))
    return numpy.asarray(image.convert("RGB"))


def luma(rgb):
    return numpy.asarray(Image.fromarray(numpy.round(rgb).astype(numpy.uint8)).convert("L"))[..., None]


# Pillow's, of the files whose EXIF is damaged.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("background, text", [((0, 0, 0), None), ((255, 255, 255), "255"), ((200, 30, 90), "200,30,90"),
                                              ((17, 0, 250), "#1100fa")])
def test_samples_are_taken_as_they_are(background, text, tmp_path):
    """Gamma, profiles, depth, palettes, transparency, inks and orientation: what Pillow gives, to one step of
    rounding."""
    folder = tmp_path / "in"
    folder.mkdir()
    expected = crafted(folder, background)
    for name, content in others().items():
        (folder / name).write_bytes(content)
        expected[name] = pillow(content, background)
    options = ["--background", text] if text else []
    for channels in (3, 1):
        finished = import_("folder", folder, "--size", SIDE, "--channels", channels, *options, out=tmp_path / "out.h5")
        assert finished.out.splitlines()[-1] == f"{len(expected)} of {len(expected)} files imported"
        # In the order of the names' bytes.
        for stored, name in zip(images(tmp_path / "out.h5"), sorted(expected, key=os.fsencode), strict=True):
            right = expected[name] if channels == 3 else luma(expected[name])
            assert numpy.abs(stored - numpy.round(right)).max() <= 1, (name, channels)


def test_red_is_76_from_every_format(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    for kind in ("png", "webp", "tiff"):
        red.save(folder / f"red.{kind}", **({"lossless": True} if kind == "webp" else {}))
    red.save(folder / "red.jpg", quality=100, subsampling=0)
    import_("folder", folder, "--size", 8, "--channels", 1, out=tmp_path / "out.h5")
    assert numpy.abs(images(tmp_path / "out.h5") - 76).max() <= 1
    assert (images(tmp_path / "out.h5")[[1, 2, 3]] == 76).all()


def area_means(square, size):
    edges = numpy.linspace(0, len(square), size + 1)
    pixels = numpy.arange(len(square))
    share = numpy.clip(numpy.minimum(edges[1:, None], pixels + 1) - numpy.maximum(edges[:-1, None], pixels), 0, None)
    share /= share.sum(1, keepdims=True)
    return numpy.einsum("yi,xj,ijc->yxc", share, share, square.astype(float))


def test_turned_before_it_is_cropped(tmp_path):
    """An odd pixel more is at the right or bottom of what the viewer sees."""
    folder = tmp_path / "in"
    folder.mkdir()
    for size in ({"height": 17, "width": 30}, {"height": 31, "width": 18}):
        for orientation in range(1, 9):
            Image.fromarray(bytes_of(3, **size)).save(folder / f"{size['width']}-{orientation}.png",
                                                      exif=turned(orientation))
    import_("folder", folder, "--size", 12, "--fit", "crop", out=tmp_path / "out.h5")
    for stored, file in zip(images(tmp_path / "out.h5"), sorted(folder.iterdir()), strict=True):
        upright = numpy.asarray(ImageOps.exif_transpose(Image.open(file)))
        side = min(upright.shape[:2])
        top, left = (upright.shape[0] - side) // 2, (upright.shape[1] - side) // 2
        assert numpy.abs(stored - area_means(upright[top:top + side, left:left + side], 12)).max() <= 0.5 + 1e-6, file


def damaged():
    """Files that are cut or whose pixels are lost."""
    rgb = Image.fromarray(bytes_of(3))
    random = Image.fromarray(numpy.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), numpy.uint8))
    whole = {"a.png": saved(random, "PNG"), "b.jpg": saved(random, "JPEG"),
             "c.jpg": saved(random, "JPEG", progressive=True),
             "d.webp": saved(random, "WEBP", lossless=True), "e.webp": saved(random, "WEBP"),
             "f.tif": saved(random, "TIFF"),
             "g.tif": saved(random, "TIFF", compression="tiff_adobe_deflate")}
    files = {f"{share}-{name}": content[:int(len(content) * share)] for name, content in whole.items()
             for share in (0.2, 0.6, 0.95)}
    png_file, jpeg_file = whole["a.png"], whole["b.jpg"]
    data = png_file.index(b"IDAT")
    files["checksum.png"] = png_file[:data + 40] + bytes([png_file[data + 40] ^ 255]) + png_file[data + 41:]
    files["no-end.png"] = png_file[:-12]
    files["no-end.jpg"] = jpeg_file[:-2]
    files["end-too-early.jpg"] = jpeg_file[:len(jpeg_file) * 2 // 3] + b"\xff\xd9"
    files["empty.png"] = b""
    files["html.jpg"] = b"<!DOCTYPE html><title>404</title>"
    files["gif.jpg"] = saved(rgb.quantize(16), "GIF")
    header = struct.pack(">IIBBBBB", 1 << 14, 1 << 14, 8, 2, 0, 0, 0)
    files["claim.png"] = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999)))
                          + chunk(b"IEND", b""))
    header = struct.pack(">IIBBBBB", 0x7fffffff, 0x7fffffff, 8, 6, 0, 1, 0)
    files["overflow.png"] = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    files["overflow.tif"] = (b"II*\0\x08\0\0\0" + struct.pack("<H", 2)
                             + struct.pack("<HHIIHHII", 256, 4, 1, 0xffffffff, 257, 4, 1, 0xffffffff) + bytes(4))
    return files


def test_cut_files_are_damage(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    files = damaged()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "good.png").write_bytes(saved(Image.fromarray(bytes_of(3)), "PNG"))
    refused = import_("folder", folder, "--size", SIDE, out=tmp_path / "out.h5", code=65)
    assert len(refused.errors) == 1 and sorted(files)[0] in refused.errors[0], refused
    assert "--skip-broken" in refused.err, refused
    limited = Running(["data", "import", "folder", folder, "--size", SIDE, "--skip-broken",
                       "--out", tmp_path / "out.h5"],
                      command=["bash", "-c", 'ulimit -v 1500000; exec "$0" "$@"', PROGRAM]).wait()
    assert limited.code == 0, limited
    assert limited.out.splitlines()[-1] == f"1 of {len(files) + 1} files imported"
    assert f"left out: {len(files)} files broken" in limited.out
    # The first are named with the reason, the rest are counted.
    assert len(limited.warnings) == 20 and all(name in limited.warnings[i] for i, name in enumerate(sorted(files)[:20]))
    assert len(images(tmp_path / "out.h5")) == 1


def test_everything_met_is_accounted_for(tmp_path):
    folder = tmp_path / "in"
    content = saved(Image.fromarray(bytes_of(1)), "PNG")
    def put(*names, content=content):
        for name in names:
            path = os.path.join(os.fsencode(folder), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
    put("ants/a.png", "ants/young/b.png", "ants/young/eggs/c.png", "cats/d.png", b"d\xe9j\xe0/\xff.png",
        "ants/.hidden.png", "ants/Thumbs.db")
    put("__MACOSX/ants/._a.png", "ants/.ipynb_checkpoints/a.png", "@eaDir/a.png", ".git/config", "$RECYCLE.BIN/a.png",
        ".DS_Store")
    put("ants/notes.txt", "labels.csv", "cats/a.gif", "cats/README", "cats/raw.nef", "bees/notes.txt",
        content=b"no picture")
    (folder / "birds").mkdir()
    (folder / "cats/gone.png").symlink_to("nowhere.png")
    (folder / "cats/again").symlink_to("..")
    (folder / "dogs").symlink_to("cats")
    os.mkfifo(folder / "cats/pipe.png")
    finished = import_("folder", folder, "--size", SIDE, out=tmp_path / "out.h5")
    assert len(finished.warnings) == 0, finished
    lines = finished.out.splitlines()
    assert lines[-9:] == [
        "left out: 9 files of other formats (.gif: 2, .nef: 2, .txt: 2, without extension: 2, .csv: 1): "
        "labels.csv, ants/notes.txt, bees/notes.txt, …",
        "left out: 3 files hidden or a system's: .DS_Store, ants/.hidden.png, ants/Thumbs.db",
        "left out: 2 links leading nowhere: cats/gone.png, dogs/gone.png",
        "left out: 2 files not regular (pipes, sockets, devices): cats/pipe.png, dogs/pipe.png",
        "left out: 5 folders hidden or a system's, not entered: $RECYCLE.BIN, .git, @eaDir, …",
        "left out: 2 folders without a picture: bees, birds",
        "left out: 2 links leading back to a folder above: cats/again, dogs/again",
        "with the class that they are in: 2 folders below it: ants/young/eggs, ants/young",
        "6 of 22 files imported"], finished
    with h5py.File(tmp_path / "out.h5") as file:
        assert file.attrs["label_names"] == "ants\ncats\ndogs\nd\\xe9j\\xe0"
        assert list(file["labels"]) == [0, 0, 0, 1, 2, 3]


def idx(kind, *sizes, content=b"", dimensions=None):
    return bytes([0, 0, kind, dimensions or len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes) + content


def tar(name, size, content=b""):
    """A member whose field of the size is `size`, with the right checksum."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512)


def test_archives_of_others(tmp_path):
    """Sizes that are negative, too large or no numbers are refused; sizes as GNU tar writes large ones are read."""
    record = bytes([3]) + bytes(range(256)) * 12
    for size in (b"-0000001000\0", b"+0000006001\0", b"99999999999\0", b"\0" * 12, b"\xff" * 12, b"\x80" + b"\xff" * 11,
                 b"\x80\0\0\0\0" + b"\xff" * 7, b"\x80\0\0\0\0\x7f" + b"\xff" * 6):
        (tmp_path / "bad.tar").write_bytes(tar("data_batch_1.bin", size, record) + bytes(1024))
        refused = import_("cifar10", "--archive", tmp_path / "bad.tar", out=tmp_path / "out.h5", code=65)
        assert len(refused.errors) == 1 and "bad.tar" in refused.errors[0], refused
    members = [tar(f"cifar/data_batch_{i}.bin", b"\x80" + len(record).to_bytes(11, "big"), record) for i in range(1, 6)]
    (tmp_path / "good.tar").write_bytes(b"".join(members) + bytes(1024))
    import_("cifar10", "--archive", tmp_path / "good.tar", out=tmp_path / "out.h5")
    assert len(images(tmp_path / "out.h5")) == 5
    (tmp_path / "c.zip").write_bytes(b"PK\3\4" + bytes(999))
    assert "zip" in import_("cifar10", "--archive", tmp_path / "c.zip", out=tmp_path / "out.h5", code=65).errors[0]


def test_idx_files_of_others(tmp_path):
    whole = idx(8, 2, 3, 4, content=bytes(range(24)))
    cases = {"a b.idx": (whole, 0, ""), "float": (idx(13, 2, 3, 4, content=bytes(96)), 65, "32-bit floats"),
             "short": (idx(11, 2, 3, 4), 65, "16-bit integers"),
             "labels": (idx(8, 3, content=b"abc"), 65, "1 dimension"),
             "twice.gz": (gzip.compress(gzip.compress(whole)), 65, "gzip"),
             "page": (b"<!DOCTYPE html>", 65, "web page"),
             "long": (whole + b"\0", 65, "longer"), "cut.gz": (gzip.compress(whole)[:-9], 65, "cut.gz"),
             "none": (b"", 65, "header"),
             "channels": (idx(8, 1, 1, 1, 1 << 28), 65, "not to 64"),
             "sizes": (idx(8, *[0xffffffff] * 4), 65, "dimensions"),
             "many": (idx(8, dimensions=255), 65, "255 dimensions")}
    for name, (content, code, text) in cases.items():
        (tmp_path / name).write_bytes(content)
        finished = import_("idx", "--images", tmp_path / name, "--size", 64, out=tmp_path / "out.h5", code=code)
        if code:
            assert len(finished.errors) == 1 and name in finished.errors[0] and text in finished.errors[0], finished


def test_what_may_not_be_read(tmp_path):
    """For root too: a file and a folder whose names are too long to be opened from here."""
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    Image.fromarray(bytes_of(1)).save(folder / "a/a.png")
    here = os.open(folder / "a", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("f" * 250, dir_fd=here)
        here, above = os.open("f" * 250, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    refused = import_("folder", folder, "--size", SIDE, out=tmp_path / "out.h5", code=66)
    assert "too long" in refused.errors[0] and "--skip-broken" in refused.err, refused
    finished = import_("folder", folder, "--size", SIDE, "--skip-broken", out=tmp_path / "out.h5")
    assert finished.out.splitlines()[-1] == "1 of 2 files imported" and "left out: 1 file not readable" in finished.out
