"""Data sets: shapes, ranges, checksums; damaged files and failing servers give clear errors and no debris."""

import dataclasses
import gzip
import hashlib
import http.server
import os
import struct
import threading

import numpy as np
import pytest
import torch

from mho.base.errors import MhoError
from mho.data import check, download, idx, load

needs_mnist = pytest.mark.skipif(not os.environ.get("MHO_DATA"), reason="MHO_DATA names no folder with MNIST")


def test_digits_are_split_as_documented():
    data = load("digits")
    assert data.x_train.shape == (1415, 64) and data.x_test.shape == (382, 64)
    assert data.x_train.dtype == torch.float32 and data.y_train.dtype == torch.int64
    assert data.x_train.min() == 0 and data.x_train.max() == 1
    assert data.y_train[:20].tolist() == [*range(10)] * 2  # file order
    assert torch.equal(data.y_test[:100], data.y_train[:100])  # each part begins with a new form
    assert torch.bincount(torch.cat([data.y_train, data.y_test])).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert check("digits") == {"digits.npz": ("1797 x 8 x 8, 0 to 16", "ok")}


@needs_mnist
@pytest.mark.parametrize(("name", "mean"), [("mnist", 0.1307), ("fashion_mnist", 0.2860)])
def test_real_sets_load_from_both_folders(name, mean):
    base = os.environ["MHO_DATA"]
    for folder in (None, base, os.path.join(base, name)):
        data = load(name, folder)
        assert data.x_train.shape == (60_000, 784) and data.x_test.shape == (10_000, 784)
        assert data.y_train.bincount().numel() == 10
        assert abs(data.x_train.mean() - mean) < 1e-4
    assert {verdict for _, verdict in check(name, base).values()} == {"ok"}


@needs_mnist
def test_fashion_is_not_taken_for_mnist():
    with pytest.raises(MhoError, match="this is the file of fashion_mnist, not of mnist"):
        load("mnist", os.path.join(os.environ["MHO_DATA"], "fashion_mnist"))


def test_a_missing_folder_is_named_with_its_files(tmp_path):
    with pytest.raises(MhoError) as error:
        load("mnist", tmp_path / "nowhere")
    for part in (str(tmp_path / "nowhere" / "mnist"), *idx.FILES, "mho.data.get('mnist'", "MHO_DATA"):
        assert part in str(error.value)


def test_unknown_names():
    with pytest.raises(MhoError, match="did you mean 'mnist'"):
        load("mnits")
    with pytest.raises(MhoError, match="cannot be fetched"):
        download.get("digits")


IDX = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + bytes(range(6))


def test_idx_is_parsed(tmp_path):
    assert idx.parse(IDX, tmp_path).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (IDX[:-1], "holds 5 data bytes. Its header announces 6, of shape (2, 3). Fix: fetch it anew."),
        (IDX[:9], "begins with '00000802'"),
        (b"\0\0\x0d" + IDX[3:], "begins with '00000d02'"),
        (b"", "begins with ''"),
    ],
)
def test_damaged_idx_is_an_error(raw, complaint, tmp_path):
    with pytest.raises(MhoError) as error:
        idx.parse(raw, tmp_path)
    assert complaint in str(error.value) and str(tmp_path) in str(error.value)


def test_damaged_gzip_is_an_error(tmp_path):
    packed = gzip.compress(IDX)
    with pytest.raises(MhoError, match="ends early, after 20 bytes"):
        idx.unpack(packed[:20], tmp_path)
    with pytest.raises(MhoError, match="is no intact gzip file"):
        idx.unpack(b"<html>sign in</html>", tmp_path)
    with pytest.raises(MhoError, match="is no intact gzip file"):
        idx.unpack(packed[:-8] + bytes(8), tmp_path)


def test_right_shape_with_wrong_contents_is_an_error(tmp_path):
    file = "t10k-labels-idx1-ubyte.gz"
    forged = gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 10_000) + bytes(10_000))
    (tmp_path / file).write_bytes(forged)
    with pytest.raises(MhoError, match="its unpacked SHA-256 is"):
        idx.verified("mnist", tmp_path / file, forged)
    assert "SHA-256" in check("mnist", tmp_path)[file][1]
    assert check("mnist", tmp_path)["t10k-images-idx3-ubyte.gz"] == ("", "missing")


# -- downloading, from a server on this machine


@pytest.fixture
def tiny(monkeypatch):
    """MNIST's place taken by four files of a few bytes; returns {file: gzipped bytes}."""
    shapes = {file: shape[:0] + (2,) * len(shape) for file, shape in idx.FILES.items()}
    raw = {
        file: struct.pack(f">BBBB{len(s)}I", 0, 0, 8, len(s), *s) + bytes(np.prod(s))
        for file, s in shapes.items()
    }
    sums = {file: hashlib.sha256(r).hexdigest() for file, r in raw.items()}
    monkeypatch.setattr(idx, "FILES", shapes)
    monkeypatch.setitem(idx.SETS, "mnist", dataclasses.replace(idx.SETS["mnist"], sha256=sums, mirrors=()))
    return {file: gzip.compress(r) for file, r in raw.items()}


@pytest.fixture
def server():
    """(address, script): `script[path]` lists the answers, bytes or an error code; the last one stays."""
    script: dict[str, list] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answers = script.get(self.path, [404])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, int):
                self.send_error(answer)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", script
        httpd.shutdown()
        thread.join()


def test_download_is_verified_and_complete(tiny, server, tmp_path):
    address, script = server
    script |= {f"/{file}": [packed] for file, packed in tiny.items()}
    seen = []
    folder = download.get("mnist", tmp_path, mirrors=[address], progress=lambda *a: seen.append(a))
    assert folder == tmp_path / "mnist"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == tiny
    assert {file: done for file, done, _ in seen} == {file: len(packed) for file, packed in tiny.items()}
    assert load("mnist", tmp_path).x_train.shape == (2, 4)


def test_download_retries_and_goes_to_the_next_mirror(tiny, server, tmp_path):
    address, script = server
    for file, packed in tiny.items():
        script[f"/good/{file}"] = [503, packed]
        script[f"/bad/{file}"] = [packed[:-9]]
    mirrors = [f"{address}/absent", f"{address}/bad", f"{address}/good/"]
    folder = download.get("mnist", tmp_path, mirrors=mirrors, tries=2, wait=0.01)
    assert sorted(path.name for path in folder.iterdir()) == sorted(tiny)


def test_a_failed_download_leaves_nothing(tiny, server, tmp_path):
    address, script = server
    script |= {f"/{file}": [packed[:-9]] for file, packed in tiny.items()}
    mirrors = [address, "http://127.0.0.1:9"]
    with pytest.raises(MhoError) as error:
        download.get("mnist", tmp_path / "new", mirrors=mirrors, tries=1)
    for part in (
        "train-images-idx3-ubyte.gz could not be fetched",
        address,
        "ends early",
        "refused",
        "mirrors=[...]",
    ):
        assert part in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_intact_files_are_kept_and_damaged_ones_replaced(tiny, server, tmp_path):
    address, script = server
    images, labels, *_ = tiny
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / images).write_bytes(tiny[images])
    (tmp_path / "mnist" / labels).write_bytes(b"half a file")
    script |= {
        f"/{file}": [packed] for file, packed in tiny.items() if file != images
    }  # images would be a 404
    download.get("mnist", tmp_path, mirrors=[address])
    assert (tmp_path / "mnist" / labels).read_bytes() == tiny[labels]
