"""Running a command to its end, or killing it with all its processes at a random moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.cache.atomic import file_digest

LONGEST = 900
"""Seconds after which a command counts as blocked."""


@dataclass(frozen=True)
class Finished:
    """A command that ran to its end."""

    code: int
    printed: list[str]
    """The lines on standard output and error; of a progress bar, every state."""
    seconds: float
    writes_after: float
    """Seconds until anything in the watched folder was new or different."""

    def is_refusal(self) -> bool:
        """Whether it ended in one line that says what is wrong."""
        return self.code == 2 and len(self.printed) == 1 and self.printed[0].startswith("error: ")


@dataclass(frozen=True)
class Command:
    """A command that writes into a folder."""

    arguments: list[str]
    watched: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def finish(self) -> Finished:
        """Run it; any exit code will do."""
        before, began, start = self._state(), None, time.monotonic()
        with self._started() as process:
            while process.poll() is None:
                seconds = time.monotonic() - start
                if seconds > LONGEST:
                    process.kill()
                    raise TimeoutError(f"{self.arguments} is blocked: {self._printed()[-5:]}")
                if began is None and self._state() != before:
                    began = seconds
                time.sleep(0.01)
        seconds = time.monotonic() - start
        return Finished(
            process.returncode, self._printed(), seconds, seconds if began is None else began
        )

    def succeed(self) -> Finished:
        """Run it; it must end well."""
        finished = self.finish()
        assert finished.code == 0, "\n".join(finished.printed)
        return finished

    def kill(self, rng: random.Random, like: Finished) -> str | None:
        """Start it and kill it at a random moment: any from start to end, or, every second time,
        after it began to write, as long as it took when it last finished.

        Returns when that was and what it had printed last; None where it had ended before.
        """
        moment = rng.uniform(rng.choice([0, like.writes_after]), like.seconds)
        with self._started() as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            has_ended = process.poll() is not None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if has_ended:
            return None
        last = (self._printed() or ["nothing printed"])[-1]
        return f"killed after {moment:.2f} of {like.seconds:.2f} s: {last}"

    @contextlib.contextmanager
    def _started(self) -> Iterator[subprocess.Popen]:
        with (
            self._output.open("wb") as output,
            subprocess.Popen(
                self.arguments, env=os.environ | self.environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            ) as process,
        ):  # fmt: skip
            yield process

    @property
    def _output(self) -> Path:
        return self.watched.with_name(f"{self.watched.name}.output")

    def _printed(self) -> list[str]:
        text = self._output.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _state(self) -> dict[Path, tuple[int, int]]:
        found = {}
        # A folder may be moved away while it is read: `os.walk` passes over it.
        for folder, folders, files in os.walk(self.watched):
            for name in folders + files:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    facts = path.lstat()
                    found[path] = facts.st_mtime_ns, facts.st_size
        return found


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_digest(path) for path in files}
