"""Datasets from files of other forms: CIFAR's binary version, and folders of pictures, made by NumPy and PIL."""

import gzip
import io
import tarfile

import h5py
import numpy
import pytest
from PIL import Image

from conftest import gan_dist

GENERATOR = numpy.random.default_rng(20140610)


def import_(kind, *arguments, out, code=0):
    finished = gan_dist("data", "import", kind, *arguments, "--out", out)
    assert finished.code == code, finished
    return finished


def stored(path):
    with h5py.File(path) as file:
        return file["images"][()], file["labels"][()] if "labels" in file else None


def cifar(count, label_bytes=1, classes=10):
    """`count` images [N, 32, 32, 3], their labels, and the records that hold them."""
    images = GENERATOR.integers(0, 256, (count, 32, 32, 3), numpy.uint8)
    labels = GENERATOR.integers(0, classes, count).astype(numpy.uint8)
    coarse = GENERATOR.integers(0, 20, (count, label_bytes - 1)).astype(numpy.uint8)
    records = numpy.concatenate([coarse, labels[:, None], images.transpose(0, 3, 1, 2).reshape(count, -1)], axis=1)
    return images, labels, records.tobytes()


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo("cifar-batches-bin/" + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_cifar10_files(tmp_path):
    first, second = cifar(7), cifar(5)
    (tmp_path / "a.bin").write_bytes(first[2])
    (tmp_path / "b.bin.gz").write_bytes(gzip.compress(second[2]))
    import_("cifar10", "--files", tmp_path / "a.bin", tmp_path / "b.bin.gz", out=tmp_path / "out.h5")
    images, labels = stored(tmp_path / "out.h5")
    assert numpy.array_equal(images, numpy.concatenate([first[0], second[0]]))
    assert numpy.array_equal(labels, numpy.concatenate([first[1], second[1]]))


def test_cifar10_archive(tmp_path):
    batches = [cifar(3) for _ in range(6)]
    # Not in order, and with files of other kinds between, as in the real archive.
    members = {"data_batch_4.bin": batches[3][2], "batches.meta.txt": b"airplane\n" * 99,
               "test_batch.bin": batches[5][2]}
    members |= {f"data_batch_{i + 1}.bin": batches[i][2] for i in (0, 1, 2, 4)}
    archive(tmp_path / "cifar.tar.gz", members)
    for part, expected in (("train", batches[:5]), ("test", batches[5:])):
        import_("cifar10", "--archive", tmp_path / "cifar.tar.gz", "--part", part, out=tmp_path / f"{part}.h5")
        images, labels = stored(tmp_path / f"{part}.h5")
        assert numpy.array_equal(images, numpy.concatenate([batch[0] for batch in expected]))
        assert numpy.array_equal(labels, numpy.concatenate([batch[1] for batch in expected]))


def test_cifar_keeps_the_labels_asked_for(tmp_path):
    images, labels, records = cifar(40)
    (tmp_path / "a.bin").write_bytes(records)
    import_("cifar10", "--files", tmp_path / "a.bin", "--keep", "2,5", out=tmp_path / "out.h5")
    kept = numpy.isin(labels, [2, 5])
    assert 0 < kept.sum() < 40
    assert numpy.array_equal(stored(tmp_path / "out.h5")[0], images[kept])
    assert numpy.array_equal(stored(tmp_path / "out.h5")[1], labels[kept])


def test_cifar100_keeps_the_fine_labels(tmp_path):
    images, labels, records = cifar(9, label_bytes=2, classes=100)
    archive(tmp_path / "cifar.tar.gz", {"train.bin": records})
    import_("cifar100", "--archive", tmp_path / "cifar.tar.gz", out=tmp_path / "out.h5")
    assert numpy.array_equal(stored(tmp_path / "out.h5")[0], images)
    assert numpy.array_equal(stored(tmp_path / "out.h5")[1], labels)


def test_bad_cifar_is_refused(tmp_path):
    _, _, records = cifar(3)
    (tmp_path / "short.bin").write_bytes(records[:-1])
    (tmp_path / "label.bin").write_bytes(b"\x0a" + records[1:])
    archive(tmp_path / "python.tar.gz", {"data_batch_1": b"pickle"})
    archive(tmp_path / "cut.tar.gz", {f"data_batch_{i}.bin": records for i in range(1, 6)})
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "cut.tar.gz").read_bytes()[:-2000])
    (tmp_path / "no.tar").write_bytes(records)
    for arguments, word in ((["--files", tmp_path / "short.bin"], "records of 3073"),
                            (["--files", tmp_path / "label.bin"], "label 10"),
                            (["--archive", tmp_path / "python.tar.gz"], "binary version"),
                            (["--archive", tmp_path / "cut.tar.gz"], "damaged"),
                            (["--archive", tmp_path / "no.tar"], "not a tar archive")):
        refused = import_("cifar10", *arguments, out=tmp_path / "out.h5", code=65)
        assert len(refused.errors) == 1 and word in refused.errors[0], refused
    import_("cifar10", "--files", tmp_path / "missing.bin", out=tmp_path / "out.h5", code=66)
    assert not (tmp_path / "out.h5").exists()


def smooth(height, width, channels):
    """A picture that JPEG keeps nearly as it is."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [128 + 100 * numpy.sin(x / 9 + c) * numpy.cos(y / (7 + c)) for c in range(channels)]
    return numpy.stack(planes, -1).astype(numpy.uint8)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.squeeze()).save(path, **options)


def test_folder_with_labels(tmp_path):
    pictures = {"cats/a.png": smooth(16, 16, 3), "cats/b.jpg": smooth(16, 16, 3)[::-1].copy(),
                "dogs/c.JPEG": smooth(16, 16, 3)[:, ::-1].copy(),
                "dogs/d.png": smooth(16, 16, 1)}
    for name, picture in pictures.items():
        save(picture, tmp_path / "in" / name, **({} if name.endswith("png") else {"quality": 95}))
    (tmp_path / "in/cats/notes.txt").write_text("no picture")
    import_("folder", tmp_path / "in", "--size", 16, out=tmp_path / "out.h5")
    images, labels = stored(tmp_path / "out.h5")
    assert images.shape == (4, 16, 16, 3) and list(labels) == [0, 0, 1, 1]
    for image, name in zip(images, pictures):
        expected = numpy.asarray(Image.open(tmp_path / "in" / name).convert("RGB")).astype(int)
        # PNG to the bit; JPEG to what two versions of its decoder may differ by.
        assert numpy.abs(image - expected).max() <= (0 if name.endswith("png") else 2), name
    with h5py.File(tmp_path / "out.h5") as file:
        assert file.attrs["label_names"] in ("cats\ndogs", b"cats\ndogs")


def test_grey_folder_without_labels(tmp_path):
    pictures = [smooth(9, 9, 1), smooth(9, 9, 1).T.copy()]
    for i, picture in enumerate(pictures):
        save(picture, tmp_path / f"in/{i}.png")
    import_("folder", tmp_path / "in", "--size", 9, out=tmp_path / "out.h5")
    images, labels = stored(tmp_path / "out.h5")
    assert images.shape == (2, 9, 9, 1) and labels is None
    assert numpy.array_equal(images[..., 0], numpy.stack([picture.squeeze() for picture in pictures]))


@pytest.mark.parametrize("height, width", [(30, 20), (17, 41), (8, 8)])
def test_crop_takes_the_means_of_the_middle(height, width, tmp_path):
    picture = smooth(height, width, 3)
    save(picture, tmp_path / "in/a.png")
    import_("folder", tmp_path / "in", "--size", 12, "--fit", "crop", out=tmp_path / "out.h5")
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    edges = numpy.linspace(0, side, 13)
    ends = numpy.minimum(edges[1:, None], numpy.arange(1, side + 1))
    share = numpy.clip(ends - numpy.maximum(edges[:-1, None], numpy.arange(side)), 0, None)
    share /= share.sum(1, keepdims=True)
    expected = numpy.einsum("yi,xj,ijc->yxc", share, share, picture[top:top + side, left:left + side].astype(float))
    assert numpy.abs(stored(tmp_path / "out.h5")[0][0] - expected).max() <= 0.5 + 1e-6


def test_wrong_sizes_and_broken_pictures(tmp_path):
    save(smooth(16, 16, 3), tmp_path / "in/a.png")
    save(smooth(16, 16, 3), tmp_path / "in/b.jpg")
    whole_png, whole_jpg = (tmp_path / "in/a.png").read_bytes(), (tmp_path / "in/b.jpg").read_bytes()
    assert "16 × 16" in import_("folder", tmp_path / "in", "--size", 8, out=tmp_path / "out.h5", code=65).err
    broken = {"c.png": whole_png[:-40], "d.jpg": whole_jpg[:200], "e.png": b"", "f.jpg": b"no picture at all",
              "g.png": whole_png[:60] + bytes([whole_png[60] ^ 255]) + whole_png[61:]}
    for name, content in broken.items():
        (tmp_path / "in" / name).write_bytes(content)
    refused = import_("folder", tmp_path / "in", "--size", 16, out=tmp_path / "out.h5", code=65)
    assert len(refused.errors) == 1 and "c.png" in refused.errors[0] and "--skip-broken" in refused.err, refused
    assert not (tmp_path / "out.h5").exists()
    skipped = import_("folder", tmp_path / "in", "--size", 16, "--skip-broken", out=tmp_path / "out.h5")
    assert len(skipped.warnings) == len(broken), skipped
    assert all(any(name in line for line in skipped.warnings) for name in broken), skipped
    assert len(stored(tmp_path / "out.h5")[0]) == 2


def test_pictures_beside_sub_folders_are_refused(tmp_path):
    save(smooth(8, 8, 1), tmp_path / "in/a.png")
    save(smooth(8, 8, 1), tmp_path / "in/cats/b.png")
    assert "cats" in import_("folder", tmp_path / "in", "--size", 8, out=tmp_path / "out.h5", code=65).errors[0]
    import_("folder", tmp_path / "nowhere", "--size", 8, out=tmp_path / "out.h5", code=66)
