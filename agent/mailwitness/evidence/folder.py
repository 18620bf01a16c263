"""Where the documents of a run lie.

::

    run.json                       what the run set out to do
    @policies/<name>.toml          policies that do not come with the program
    @waivers/<number>/<name>       the inventory's files of waivers
    <host>/host.json               the agent's evidence, or the failure in its place
    <host>/probe@<vantage>.json    what that vantage saw, or the failure in its place

A host's folder has its inventory name, percent-encoded.
"""

import os
from pathlib import Path
from urllib.parse import quote

from mailwitness.evidence.codec import MAX_DOCUMENT_BYTES, Document, EvidenceError, dumps


def run_file(folder: Path) -> Path:
    """The plan of the run."""
    return folder / "run.json"


def policies(folder: Path) -> Path:
    """Where policies lie that do not come with the program; no host's encoded name is like this."""
    return folder / "@policies"


def waivers(folder: Path) -> Path:
    """Where the files of waivers lie, each in a folder of its own."""
    return folder / "@waivers"


def host_file(folder: Path, host: str) -> Path:
    """The agent's evidence of `host`."""
    return folder / _encoded(host) / "host.json"


def probe_file(folder: Path, host: str, vantage: str) -> Path:
    """What `vantage` saw of `host`."""
    return folder / _encoded(host) / f"probe@{_encoded(vantage)}.json"


def write(path: Path, document: Document) -> None:
    """Put `document` in `path`, whole or not at all."""
    put(path, dumps(document) + "\n")


def put(path: Path, text: str) -> None:
    """Put what is a document already, in ASCII, in `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(text.encode("ascii"))
    unfinished.replace(path)


def read(path: Path) -> bytes:
    """The content of `path`.

    Raises:
        EvidenceError: it is longer than any evidence; nothing beyond that is read.
    """
    with path.open("rb") as file:
        # Python makes room for as many bytes as are asked for, however few there are.
        size = min(os.fstat(file.fileno()).st_size, MAX_DOCUMENT_BYTES)
        content = file.read(size + 1)
        if len(content) > size:  # it grows, or is none of those that have a size
            content += file.read(MAX_DOCUMENT_BYTES - size)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise EvidenceError("$", f"longer than {MAX_DOCUMENT_BYTES} bytes")
    return content


def _encoded(name: str) -> str:
    # quote() leaves dots alone, and "." and ".." are no names of folders.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")
