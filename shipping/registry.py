"""What has been shipped, on disk: written whole and atomically, held by one shipper at a time."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import platformdirs

from engine.errors import ShippingError
from shipping.formats import Header
from shipping.identity import Entry, Fingerprint
from shipping.positions import Positions, Span

_VERSION = 1
_CLOCK_OF_FILES: int | None = getattr(time, "CLOCK_REALTIME_COARSE", None)  # Linux

# A host that rotates ten logs a day comes to so many in three months; they are 600 KB of JSON.
_ENTRIES_KEPT = 1000
# A link that is switched every hour, and a server that goes on with the old file for three.
_TARGETS_KEPT = 4
_FORGET_AFTER_SECONDS = 30 * 86_400.0


def default_registry_path(namespace: str, cluster: str) -> Path:
    """Where the registry lies if nothing else is said: in the platform's state folder, one per target.

    Linux: ``$XDG_STATE_HOME/httpmon`` or ``~/.local/state/httpmon``; macOS:
    ``~/Library/Application Support/httpmon``.
    """
    return platformdirs.user_state_path("httpmon") / f"ship-{namespace}-{cluster[:8]}.json"


class Registry:
    """The entries of all files, safe to use from several threads.

    Opening it takes a lock that the system releases when the process ends, however it ends.
    """

    def __init__(self, path: Path, notify: Callable[[str], None] = lambda _: None) -> None:
        """Open or create the registry at ``path``; ``notify`` takes one line for the user.

        Raises ShippingError when another shipper holds it, or it cannot be read or written.
        """
        self.path = path
        self._notify = notify
        self._told = False
        self._mutex = threading.Lock()
        self._positions = Positions()
        self._entries: dict[str, Entry] = {}
        self._extra: dict[str, Any] = {}
        self._changed = False
        self._new_keys = False
        self._underivable_keys = False
        self._lock_file = self._take_lock()
        self._load()

    @property
    def entries(self) -> list[Entry]:
        """A snapshot of all entries."""
        with self._mutex:
            return list(self._entries.values())

    @property
    def keys(self) -> Collection[str]:
        """All keys, for ``identity.new_key``."""
        with self._mutex:
            return set(self._entries)

    def entry(self, key: str) -> Entry:
        """One file's entry."""
        with self._mutex:
            return self._entries[key]

    @property
    def followed(self) -> dict[str, float]:
        """Since when each path is followed, seconds since the epoch."""
        return dict(self.noted("followed") or {})

    @property
    def forgotten(self) -> dict[str, float]:
        """For each path of which files were forgotten, when the newest of these was last written."""
        return dict(self.noted("forgotten") or {})

    def note_followed(self, paths: Iterable[str]) -> None:
        """Remember that paths are followed from now on."""
        # The clock that files are stamped with runs a little behind the other.
        now = time.clock_gettime(_CLOCK_OF_FILES) if _CLOCK_OF_FILES is not None else time.time()
        self.note("followed", dict.fromkeys(paths, now) | self.followed)
        self._new_keys = True

    @property
    def targets(self) -> dict[str, list[str]]:
        """Where each path that is a link was last seen to lead, the newest last."""
        return dict(self.noted("targets") or {})

    def note_target(self, path: str, target: str) -> None:
        """Remember where a link leads: an empty file has no entry, and would be lost with the link."""
        before = self.targets.get(path, [])
        if target not in before[-1:]:
            kept = [*(other for other in before if other != target), target][-_TARGETS_KEPT:]
            self.note("targets", self.targets | {path: kept})
            self._new_keys = True

    def put(self, entry: Entry, *, underivable: bool = False) -> None:
        """Remember a file, or change what is remembered of it beside its position.

        ``underivable``: its key depends on the entries of other files.
        """
        with self._mutex:
            known = self._entries.get(entry.key)
            if known is not None:
                entry = replace(
                    entry, offset=known.offset, tail=known.tail, state=known.state, header=known.header
                )
            if entry != known:
                self._entries[entry.key] = entry
                self._changed = True
                self._new_keys |= known is None
                self._underivable_keys |= underivable

    def forget_vanished(self) -> None:
        """Drop files that have not been written for long, of the many where there are very many.

        The newest are kept although their files are gone: a packed copy of one may still turn up, and is
        recognised by what is remembered of the file that it was.
        """
        with self._mutex:
            oldest_first = sorted(self._entries.values(), key=lambda entry: entry.modified)
            forgotten_before = time.time() - _FORGET_AFTER_SECONDS
            forgotten: dict[str, float] = {}
            for entry in oldest_first[:-_ENTRIES_KEPT]:
                if entry.modified < forgotten_before and not _is_there(entry):
                    del self._entries[entry.key]
                    forgotten[entry.path] = entry.modified
        if forgotten:
            self.note("forgotten", self.forgotten | forgotten)

    def sending(self, span: Span) -> None:
        """Note a span before it is sent."""
        with self._mutex:
            self._positions.sending(span)

    def acknowledge(self, span: Span) -> None:
        """Move the file's position over what is acknowledged without a gap."""
        with self._mutex:
            reached = self._positions.acknowledge(span)
            if reached is not None:
                entry = self._entries[reached.key]
                self._entries[reached.key] = replace(
                    entry,
                    offset=reached.end,
                    tail=reached.tail,
                    state=reached.state,
                    header=reached.header,
                )
                self._changed = True

    def is_idle(self, key: str) -> bool:
        """Whether nothing of this file is under way."""
        with self._mutex:
            return self._positions.is_idle(key)

    def belongs_to(self, cluster: str, target: str, *, notify: Callable[[str], None]) -> None:
        """Start over where the registry is of another cluster or data stream."""
        here = f"{cluster}/{target}"
        before = self.noted("target")
        if before not in (None, here):
            notify(f"registry {self.path}: is of another cluster; the files are shipped from their start")
            with self._mutex:
                self._entries.clear()
                self._extra.clear()
        self.note("target", here)

    def note(self, name: str, value: Any) -> None:
        """Keep a further JSON value beside the entries."""
        with self._mutex:
            if self._extra.get(name) != value:
                self._extra[name] = value
                self._changed = True

    def noted(self, name: str) -> Any:
        """A value kept by ``note``, or None."""
        with self._mutex:
            return self._extra.get(name)

    def save_new(self) -> bool:
        """Write the registry if it has new files; False where their lines must not be sent before it is.

        A file whose key depends on earlier ones could get another key after a crash.
        """
        return not self._new_keys or self.try_save() or not self._underivable_keys

    def try_save(self) -> bool:
        """Write the registry if it changed; where the disk is full, say so once, and that it goes on.

        What is not written down is sent again after a crash, and recognised by the engine.
        """
        try:
            self.save()
        except ShippingError as error:
            if not self._told:
                self._notify(f"{error}; shipping goes on meanwhile")
            self._told = True
            return False
        if self._told:
            self._notify(f"registry {self.path}: can be written again")
        self._told = False
        return True

    def save(self) -> None:
        """Write the registry if it changed: whole into a new file, to the disk, then into place.

        Raises ShippingError when it cannot be written.
        """
        with self._mutex:
            if not self._changed:
                return
            new_keys, underivable = self._new_keys, self._underivable_keys
            self._changed = self._new_keys = self._underivable_keys = False
            content = {
                "version": _VERSION,
                **self._extra,
                "files": [asdict(entry) for entry in self._entries.values() if entry.inode],
            }
        new = self.path.with_name(self.path.name + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with self._mutex:
                self._changed = True
                self._new_keys |= new_keys
                self._underivable_keys |= underivable
            raise ShippingError(
                f"registry {self.path}: cannot be written: {error.strerror}; choose another with --registry"
            ) from None

    def close(self) -> None:
        """Save and let go of the lock."""
        try:
            self.save()
        finally:
            self._lock_file.close()

    def _take_lock(self) -> Any:
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("a+", encoding="utf-8")
        except OSError as error:
            raise ShippingError(
                f"registry {self.path}: {error.strerror}; choose another with --registry"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            who = f" (process {holder})" if holder else ""
            raise ShippingError(
                f"registry {self.path}: another shipper{who} uses it; "
                "stop that one, or give this one a registry of its own with --registry"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file

    def _load(self) -> None:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["version"] != _VERSION:
                raise ValueError(f"version {content['version']}")
            entries = [_entry(fields) for fields in content["files"]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._lock_file.close()
            raise ShippingError(
                f"registry {self.path}: cannot be read ({error}); move it away to ship everything again "
                "(lines that are there already are recognised), or choose another with --registry"
            ) from None
        self._entries = {entry.key: entry for entry in entries}
        self._extra = {name: value for name, value in content.items() if name not in ("version", "files")}


def _is_there(entry: Entry) -> bool:
    try:
        status = Path(entry.path).stat()
    except OSError:
        return False
    return status.st_ino == entry.inode


def _entry(fields: dict[str, Any]) -> Entry:
    prints = {name: Fingerprint(**fields[name]) for name in ("head", "tail")}
    # Registries of earlier versions have no headers.
    return Entry(**(fields | prints | {"header": Header(**fields.get("header", {}))}))
