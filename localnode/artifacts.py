"""Brings the pinned jars onto this machine: a folder with ``lib`` and ``modules``, each file verified.

``jgo`` says where a jar is: repositories (also those of the user's own jgo settings) and path. The download
itself is here, because jgo's opens a connection for each file (20 s instead of 1 s for a hundred of them),
writes in place and only warns about a wrong checksum.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from engine.errors import LocalNodeError
from localnode.configuration import module_descriptor
from localnode.progress import Progress, Report, no_report
from localnode.release import Jar, Release

if TYPE_CHECKING:
    import requests
    from jgo.maven import MavenContext

MISSING_EXTRA = "the local node is not installed with httpmon; run: pip install 'httpmon[local]'"

_CONNECTIONS = 8
# For a file that arrived damaged or cut short; refused and broken connections are tried again below that.
_ATTEMPTS = 3
_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_CHUNK_BYTES = 64 * 1024
_REPORT_SECONDS = 0.1
_DESCRIPTOR = "plugin-descriptor.properties"


def install(release: Release, cache: Path, report: Report = no_report) -> Path:
    """Make the distribution of ``release`` complete and return its folder.

    Every file that is there already is checked against its sum; what is missing or differs is fetched. Two
    installations into one cache wait for each other. Raises LocalNodeError.
    """
    distribution = cache / release.folder_name
    try:
        report(Progress(f"Checking OpenSearch {release.version}"))
        if _is_complete(release, distribution):
            return distribution
        cache.mkdir(parents=True, exist_ok=True)
        with _alone_in(cache):
            missing = missing_jars(release, distribution)
            if missing:
                _fetch(missing, distribution, f"Downloading OpenSearch {release.version}", report)
            _write_descriptors(release, distribution)
    except OSError as error:
        raise LocalNodeError(f"{distribution}: cannot be written: {error.strerror or error}") from error
    return distribution


def missing_jars(release: Release, distribution: Path) -> list[Jar]:
    """The jars that are not there, or not with the pinned content."""
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        intact = pool.map(lambda jar: _is_intact(jar, distribution / jar.path), release.jars)
        return [jar for jar, is_intact in zip(release.jars, intact, strict=True) if not is_intact]


def _is_complete(release: Release, distribution: Path) -> bool:
    descriptors = (distribution / "modules" / module.name / _DESCRIPTOR for module in release.modules)
    return all(path.exists() for path in descriptors) and not missing_jars(release, distribution)


def _is_intact(jar: Jar, path: Path) -> bool:
    try:
        if path.stat().st_size != jar.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    with (cache / "install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_descriptors(release: Release, distribution: Path) -> None:
    for module in release.modules:
        folder = distribution / "modules" / module.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _DESCRIPTOR).write_text(module_descriptor(module, release), encoding="utf-8")


def _fetch(jars: Sequence[Jar], distribution: Path, step: str, report: Report) -> None:
    try:
        downloads = _Downloads(distribution)
    except ImportError:
        raise LocalNodeError(MISSING_EXTRA) from None
    total_bytes = sum(jar.size for jar in jars)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        pending = {pool.submit(downloads.fetch, jar) for jar in jars}
        try:
            while pending:
                done, pending = wait(pending, _REPORT_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                report(Progress(step, downloads.done_bytes, total_bytes))
        finally:
            # After a failure or Ctrl-C nobody waits for the rest of a slow download.
            downloads.given_up.set()
            pool.shutdown(wait=True, cancel_futures=True)


class _Downloads:
    """Downloads of several threads: a keep-alive session for each thread, one count for all."""

    def __init__(self, distribution: Path) -> None:
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext, PythonResolver

        self._distribution = distribution
        self._context: MavenContext = MavenContext(resolver=PythonResolver())
        self._context.remote_repos.update(GlobalSettings.load().repositories)
        self._of_thread = threading.local()
        self._counting = threading.Lock()
        self.done_bytes = 0
        self.given_up = threading.Event()

    def fetch(self, jar: Jar) -> None:
        """Download one jar, verify it, put it in its place. Raises LocalNodeError."""
        import requests

        place = self._distribution / jar.path
        place.parent.mkdir(parents=True, exist_ok=True)
        problem = ""
        for _ in range(_ATTEMPTS):
            for repository in self._context.remote_repos.values():
                if self.given_up.is_set():
                    return
                try:
                    problem = self._fetch_from(repository, jar, place)
                except requests.RequestException as error:
                    problem = f"{type(error).__name__} from {repository}"
                if not problem:
                    return
        raise LocalNodeError(
            f"{jar.coordinates}: {problem}; check the network or the proxy settings and try again "
            "(what is downloaded already is kept)"
        )

    def _fetch_from(self, repository: str, jar: Jar, place: Path) -> str:
        """Returns what is wrong, or "" when the jar is in its place."""
        with self._session().get(
            f"{repository}/{self._path_in_repository(jar)}",
            stream=True,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
        ) as answer:
            if answer.status_code != 200:
                return f"HTTP {answer.status_code} from {repository}"
            return self._receive(answer, jar, place)

    def _receive(self, answer: requests.Response, jar: Jar, place: Path) -> str:
        digest = hashlib.sha256()
        received_bytes = 0
        with NamedTemporaryFile(dir=place.parent, prefix=".incoming-", delete=False) as file:
            incoming = Path(file.name)
            try:
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    if self.given_up.is_set():
                        return "given up"
                    file.write(chunk)
                    digest.update(chunk)
                    received_bytes += len(chunk)
                    self._count(len(chunk))
                file.close()
                if digest.hexdigest() == jar.sha256:
                    incoming.chmod(0o644)
                    incoming.replace(place)
                    return ""
            finally:
                incoming.unlink(missing_ok=True)
                if digest.hexdigest() != jar.sha256:
                    self._count(-received_bytes)
        return f"its content is not the pinned one, {received_bytes} of {jar.size} bytes came"

    def _count(self, count: int) -> None:
        with self._counting:
            self.done_bytes += count

    def _session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            retries = Retry(3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
            session.mount("https://", HTTPAdapter(max_retries=retries))
        return session

    def _path_in_repository(self, jar: Jar) -> str:
        group, artifact, version, *classifier = jar.coordinates.split(":")
        component = self._context.project(group, artifact).at_version(version)
        filename = component.artifact(classifier=classifier[0] if classifier else "").filename
        return f"{component.path_prefix.as_posix()}/{filename}"
