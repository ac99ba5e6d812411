"""Shards of a remote store, fetched whole when a track of theirs is first opened.

Reading clips from an object store directly would cost three requests a clip, thousands
a second; a shard costs one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lightly_marlin.jobs.lock import wait_for_lock
from lightly_marlin.store.format import INDEX_NAME, REPORT_NAME, STORE_NAME
from lightly_marlin.store.index_file import ARROW_NAME
from lightly_marlin.store.repair import MERGE
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import cache_folder
from lightly_marlin.utils.remote import RemoteFolder, is_url

__all__ = ["RemoteShards"]


class RemoteShards:
    """Local copy of a remote store, as far as it was needed.

    Attributes:
        url: URL of the store.
        folder: The copy. That of another state of the store is another folder, so what
            is fetched always fits the index.
    """

    def __init__(self, url: str, cache: Path) -> None:
        """Fetches the index, unless it is there already.

        Args:
            url: URL of the store.
            cache: Folder of all copies.

        Raises:
            UsageError: If the store cannot be reached or read, or has no index.
        """
        self.url = url.rstrip("/")
        remote = RemoteFolder(self.url)
        state = remote.state(INDEX_NAME)
        if state is None:
            raise UsageError(
                f"{self.url} is no face store, or its shards are not merged: it has no "
                f"{INDEX_NAME}. When all shards are prepared, merge them: {MERGE}"
            )
        text = json.dumps([self.url, state], sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        self.folder = cache / f"store-{digest}"
        self._fetched: set[str] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (STORE_NAME, REPORT_NAME, ARROW_NAME, INDEX_NAME):
                if not (self.folder / name).exists():
                    remote.fetch(name, self.folder / name)
        except OSError as error:
            raise _no_room(cache, error) from error

    @classmethod
    def open(cls, path: Path | str, cache: Path | str | None) -> RemoteShards | None:
        """Returns the copy of a remote store; None for a path.

        Args:
            path: Folder or URL of a store.
            cache: Folder of all copies; None for the user's cache.
        """
        if not is_url(path):
            return None
        stores = cache_folder() / "lightly_marlin" / "stores"
        return cls(str(path), stores if cache is None else Path(cache).absolute())

    def fetch(self, tar: str) -> None:
        """Fetches the tar of a shard, unless it is there already.

        Args:
            tar: Its path relative to the store, as the index has it.

        Raises:
            UsageError: If it cannot be fetched or written.
        """
        if tar in self._fetched:
            return
        file = self.folder / tar
        try:
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                # Of several processes that need it, one fetches it.
                with wait_for_lock(file.parent, "shard"):
                    found = file.exists() or RemoteFolder(self.url).fetch(tar, file)
                if not found:
                    raise UsageError(
                        f"The store {self.url} has lost {tar}. Prepare the videos of "
                        "this shard again, and merge."
                    )
        except OSError as error:
            raise _no_room(self.folder, error) from error
        self._fetched.add(tar)


def _no_room(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The cache {folder} cannot be written: {error.strerror or error}. Name one on "
        "a disk with room for the shards."
    )
