"""Layout of a sharded store: the number of its shards, and which video is in which."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightly_marlin.jobs.lock import wait_for_lock
from lightly_marlin.store.format import (
    FORMAT_VERSION,
    INDEX_NAME,
    SHARDS_NAME,
    STORE_NAME,
    TRACKS_NAME,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, remove_leftovers
from lightly_marlin.utils.remote import RemoteFolder, is_url

__all__ = ["MAX_SHARDS", "StoreLayout", "is_face_store", "shard_of", "shard_work"]

_WORK_LOCK = ".preparing"

MAX_SHARDS = 100_000
"""Most shards of a store; their folders have names of five digits."""


def shard_of(source: str, num_shards: int) -> int:
    """Returns the shard of a video.

    A hash of its name, so it depends neither on the order in which videos are listed,
    nor on what else there is, nor on where it is prepared.

    Args:
        source: Name of the video, as in its record.
        num_shards: Number of shards of the store.
    """
    digest = hashlib.blake2b(source.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % num_shards


def is_face_store(folder: Path) -> bool:
    """Returns whether a folder is a face store; False if that cannot be determined.

    Args:
        folder: Any path.
    """
    content = (TRACKS_NAME, SHARDS_NAME)
    has_content = any(os.path.isdir(folder / name) for name in content)
    has_index = any(os.path.isfile(folder / n) for n in (INDEX_NAME, STORE_NAME))
    return has_content and has_index


@dataclass(frozen=True)
class StoreLayout:
    """Layout of a sharded store, in a folder or at a URL.

    Attributes:
        path: The folder, absolute, or the URL, without a slash at its end.
        num_shards: Number of shards, which never changes.
    """

    path: str
    num_shards: int

    @property
    def is_remote(self) -> bool:
        """Whether the store is at a URL."""
        return is_url(self.path)

    @classmethod
    def read(cls, store: Path | str) -> StoreLayout | None:
        """Returns the layout of a store; None if it has no shards or does not exist.

        Args:
            store: Folder or URL of the store.

        Raises:
            UsageError: If its description is damaged or of another version.
        """
        path = _normal(store)
        text = _read_text(path)
        if text is None:
            return None
        try:
            value = json.loads(text)
            version, num_shards = value["version"], value["shards"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"The description {path}/{STORE_NAME} of the store is damaged. Write "
                f'{{"version": {FORMAT_VERSION}, "shards": N}} into it, with the '
                "number of shards that it was begun with."
            ) from error
        if version != FORMAT_VERSION or not _is_number_of_shards(num_shards):
            raise UsageError(
                f"{path} is a sharded store of version {version!r} with "
                f"{num_shards!r} shards; this release reads version {FORMAT_VERSION}."
            )
        return cls(path, num_shards)

    @classmethod
    def open(cls, store: Path | str, num_shards: int) -> StoreLayout:
        """Returns the layout of a store; begins the store if there is none.

        Several processes may begin it at once.

        Args:
            store: Folder or URL of the store.
            num_shards: Number of shards that it has or gets.

        Raises:
            UsageError: If it has another number of shards, or none, or cannot be
                written.
        """
        if not _is_number_of_shards(num_shards):
            raise UsageError(
                f"Invalid number of shards ({num_shards!r}). It must be from 1 to "
                f"{MAX_SHARDS}."
            )
        path = _normal(store)
        layout = cls.read(path)
        if layout is None:
            _begin(path, num_shards)
            layout = cls.read(path)
        if layout is None or layout.num_shards != num_shards:
            found = "no" if layout is None else str(layout.num_shards)
            raise UsageError(
                f"The store {path} has {found} shards, not {num_shards}. Their number "
                "cannot change: leave it out, or name another store."
            )
        return layout

    def check_shard(self, shard: int) -> None:
        """Raises UsageError unless the store has a shard of this number.

        Args:
            shard: Number of a shard, from 0.
        """
        if not 0 <= shard < self.num_shards:
            raise UsageError(
                f"There is no shard {shard}: the store {self.path} has "
                f"{self.num_shards}, from 0 to {self.num_shards - 1}."
            )

    def shard_path(self, shard: int, *names: str) -> str:
        """Returns the path or URL of a shard, or of a file in it.

        Args:
            shard: Number of the shard.
            names: Further parts of the path.
        """
        return "/".join((self.path, shard_name(shard), *names))

    def shard_folder(self, shard: int) -> Path:
        """Returns the folder of a shard of a store that is not remote.

        Args:
            shard: Number of the shard.
        """
        return Path(self.path) / shard_name(shard)


def shard_name(shard: int) -> str:
    """Returns the path of a shard relative to its store.

    Args:
        shard: Number of the shard.
    """
    return f"{SHARDS_NAME}/{shard:05d}"


@contextlib.contextmanager
def shard_work(home: Path, seconds: float = math.inf) -> Iterator[None]:
    """Keeps other processes from changing a shard, from reading it to committing it.

    Args:
        home: Folder of the shard, or of its unfinished state; created if missing.
        seconds: How long to wait for another process that works on it.

    Raises:
        UsageError: If another process works on it for longer.
        OSError: If the folder cannot be written.
    """
    # Not the lock of the shard's own folder, which is taken to commit it; and beside
    # what is removed then: the next process must not lock what is about to go.
    lock = home / _WORK_LOCK
    lock.mkdir(parents=True, exist_ok=True)
    with wait_for_lock(lock, "shard", seconds):
        yield


def _is_number_of_shards(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_SHARDS


def _normal(store: Path | str) -> str:
    if not str(store):
        raise UsageError("The path of the store is empty. Name a folder.")
    if is_url(store):
        return str(store).rstrip("/")
    return str(Path(store).absolute())


def _read_text(path: str) -> str | None:
    """Returns the description of a store; None if there is none."""
    if is_url(path):
        content = RemoteFolder(path).read(STORE_NAME)
        return None if content is None else content.decode("utf-8", "replace")
    try:
        return (Path(path) / STORE_NAME).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        if (Path(path) / SHARDS_NAME).is_dir() and not (
            Path(path) / TRACKS_NAME
        ).is_dir():
            raise UsageError(
                f"The store {path} has shards but no {STORE_NAME}. Write "
                f'{{"version": {FORMAT_VERSION}, "shards": N}} into it, with the '
                "number of shards that it was begun with."
            ) from None
        return None
    except OSError as error:
        raise UsageError(
            f"The store {path} cannot be read: {error.strerror or error}."
        ) from error


def _begin(path: str, num_shards: int) -> None:
    """Writes the description of a new store, unless another process was faster."""
    text = json.dumps({"version": FORMAT_VERSION, "shards": num_shards}) + "\n"
    if is_url(path):
        RemoteFolder(path).write(STORE_NAME, text.encode())
        return
    folder = Path(path)
    if (folder / TRACKS_NAME).is_dir():
        raise UsageError(
            f"The store {path} is not sharded. Name another folder, and join them "
            "afterwards: python recipes/merge_store.py NEW_STORE STORE"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{STORE_NAME}-{os.getpid()}-{os.urandom(4).hex()}"
        temporary.write_text(text, encoding="utf-8")
        try:
            # Unlike a rename, a link never replaces what another process wrote.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, folder / STORE_NAME)
        except OSError:
            # A file system without links.
            remove_leftovers(folder / STORE_NAME)
            with atomic_write(folder / STORE_NAME) as file:
                file.write_text(text, encoding="utf-8")
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"The store {path} cannot be written: {error.strerror or error}. Choose a "
            "folder that you may write to, on a disk with free space."
        ) from error
