"""A process of its own that publishes: python -m tests.adapters.publisher URI NAME FOLDER NUMBERS.

It opens nothing before the file `go` is in FOLDER, so that several can begin at once. With NUMBERS
`hang` it uploads half of a file, puts `half` into FOLDER and waits to be killed.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

from catalog.stores import Store, open_store
from tests.conformance.store_tools import FILES, manifest_of, numbered, publish


class HangingSource(io.BytesIO):
    """Half a file, and then nothing for a long time."""

    def __init__(self, data: bytes, flag: Path) -> None:
        super().__init__(data[: len(data) // 2])
        self._flag = flag

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            self._flag.touch()
            time.sleep(60)
        return data


def hang(store: Store, name: str, flag: Path) -> None:
    manifest = manifest_of(FILES)
    for entry in store.missing(name, manifest):
        data = FILES[entry.path]
        source = HangingSource(data, flag) if entry.path == "model.onnx" else io.BytesIO(data)
        store.upload(name, manifest, entry, source)


def main() -> None:
    uri, name, folder, numbers = sys.argv[1:]
    store = open_store(uri)
    import mlflow  # noqa: F401  slow: before the start, so that the race is close

    Path(folder, f"ready-{numbers}-{time.time_ns()}").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.005)
    if numbers == "hang":
        hang(store, name, Path(folder, "half"))
    for number in numbers.split(","):
        version = publish(store, name, numbered(int(number)))
        print(version.version, version.digest)


if __name__ == "__main__":
    main()
