"""Downloads of the four files of a set: mirrors in turn, retries, checksums, and never a half-written file."""

import contextlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from mho.base.errors import MhoError, complaint, did_you_mean
from mho.base.files import make_folder, whole
from mho.data import idx

__all__ = ["get"]

Progress = Callable[[str, int, int], None]
CHUNK = 1 << 16  # bytes between two calls of `progress`
TIMEOUT = 30.0  # s without an answer
LONGEST = 3600.0  # s for a file


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http and https alone: urllib would follow one to ftp."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.lower().startswith(("http://", "https://")):
            fp.close()
            raise MhoError(f"a redirect to {newurl}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def get(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    mirrors: Sequence[str] = (),
    tries: int = 3,
    wait: float = 1.0,
    progress: Progress = lambda file, done, size: None,
) -> Path:
    """Download the files that a set lacks into `data_dir`/name, and return that folder; intact files stay.

    A file appears under its name only when all of it is there and its checksum is right.

    Args:
        name: `mnist` or `fashion_mnist`.
        data_dir: the folder of the data sets. None: the variable MHO_DATA, else `data` in the current folder.
        mirrors: addresses to try instead of the known ones; the file's name is appended.
        tries: attempts at each mirror.
        wait: pause after the first failure [s]; it doubles with each further one.
        progress: called with (file, bytes so far, bytes in all or 0 if unknown).
    Raises: MhoError, with the answer of each mirror.
    """
    name = name.replace("-", "_")
    if name not in idx.SETS:
        raise complaint(
            f"mho.data.get({name!r})", f"{name!r} cannot be fetched", did_you_mean(name, idx.SETS)
        )
    if not all(isinstance(m, str) and m.lower().startswith(("http://", "https://")) for m in mirrors):
        what = "an address is neither http:// nor https://"
        raise complaint(f"mho.data.get(mirrors={mirrors!r})", what, "Nothing else is followed")
    if tries < 1:
        raise complaint(f"mho.data.get(tries={tries!r})", "it must be 1 or more")
    base = idx.base_folder(data_dir)
    folder = base if base.name == name else base / name
    new = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        make_folder(folder, f"mho.data.get({name!r})")
        for file, (_, verdict) in idx.state(name, folder).items():
            if verdict != "ok":
                packed = _fetch(name, folder / file, mirrors or idx.SETS[name].mirrors, tries, wait, progress)
                with whole(folder / file) as part:
                    part.write_bytes(packed)
    finally:
        for made in new:  # only those that stayed empty can be removed
            with contextlib.suppress(OSError):
                made.rmdir()
    return folder


def _fetch(
    name: str, path: Path, mirrors: Sequence[str], tries: int, wait: float, progress: Progress
) -> bytes:
    """Return the gzipped bytes of one file, verified."""
    answers = []
    for mirror in mirrors:
        for attempt in range(tries):
            if attempt:
                time.sleep(wait * 2 ** (attempt - 1))
            try:
                packed = _fetch_once(f"{mirror.rstrip('/')}/{path.name}", path.name, progress)
                idx.verified(name, path, packed)
                return packed
            except urllib.error.HTTPError as error:
                answer = f"{error.code} {error.reason}"
                error.close()
                if error.code in (401, 403, 404, 410):  # asking again does not help
                    break
            except (OSError, http.client.HTTPException, ValueError) as error:
                answer = str(getattr(error, "reason", error))
        answers.append(f"{mirror} answered: {answer}")
    raise complaint(
        f"mho.data.get({name!r})",
        f"{path.name} could not be fetched; " + "; ".join(answers),
        fix=f"check the connection, name a server with mirrors=[...], or copy the four files to {path.parent}",
    )


def _fetch_once(url: str, file: str, progress: Progress) -> bytes:
    """Return the bytes behind an address. Raises: MhoError if there are too many, or they come too slowly."""
    packed, most, end = bytearray(), idx.longest(file), time.monotonic() + LONGEST
    with urllib.request.build_opener(_Redirects).open(url, timeout=TIMEOUT) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read1(CHUNK):
            packed += chunk
            if max(size, len(packed)) > most:
                raise MhoError(f"a file of more than {most:,} bytes, which {file} does not have")
            if time.monotonic() > end:
                raise MhoError(f"only {len(packed):,} bytes in {LONGEST:.0f} s")
            progress(file, len(packed), size)
    if size and len(packed) != size:
        raise MhoError(f"the connection ended after {len(packed)} of {size} bytes")
    return bytes(packed)
