"""The process of a peer, and the way to ask it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from benchmarks.measure import Absent
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import reason

STOMP = "127.0.0.1:61613"


class PeerProcess:
    """Asks a peer's process for figures; where there are none, it is Absent and says why."""

    def __init__(self, peer: Peer, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.peer, self._process, self._log = peer, process, log

    def ask(self, do: str, **words: Any) -> Any:
        questions, answers = self._pipes()
        with suppress(BrokenPipeError):
            questions.write(json.dumps({"do": do, **words}).encode() + b"\n")
        line = answers.readline()
        if not line:
            raise Absent(f"its process ended: {reason(self._log.read_text(errors='replace'))}")
        answer = json.loads(line)
        if "trouble" in answer:
            # The whole of it; the table has room for a line.
            print(f"{self.peer.name}: {answer['trouble']}", file=sys.stderr)  # noqa: T201
            raise Absent(first_line(answer["trouble"]))
        return answer["answer"]

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process.stdin  # noqa: S101
        assert self._process.stdout  # noqa: S101
        return self._process.stdin, self._process.stdout


def first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")


def stomp() -> str:
    """Return where a broker that speaks STOMP would be."""
    return os.environ.get("BENCH_STOMP", STOMP)


@contextmanager
def asked(peer: Peer, python: Path) -> Iterator[PeerProcess]:
    """Start the peer's process for as long as the block lasts."""
    folder = Path(os.environ["BENCH_FOLDER"]) / peer.site
    folder.mkdir()
    log = folder / "peer.log"
    command = [str(python), "-m", "benchmarks.peers.serve"]
    with (
        log.open("w") as errors,
        started(command, errors, {**os.environ, **environment(peer, folder)}) as process,
    ):
        try:
            yield PeerProcess(peer, process, log)
        finally:
            process.terminate()


def started(
    command: list[str], errors: IO[str], environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a process that answers what it is asked."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        # What is still in a buffer when the process has died could not be closed.
        bufsize=0,
    )


def environment(peer: Peer, folder: Path) -> dict[str, str]:
    return {
        "BENCH_PEER": peer.site,
        "BENCH_FOLDER": str(folder),
        # A database of Redis that the other contestants don't empty.
        "BENCH_PEERS_REDIS_URL": os.environ["BENCH_REDIS_URL"].rpartition("/")[0] + "/1",
        "BENCH_STOMP": stomp(),
        "BENCH_STOMP_NAME": f"bench.{os.getpid()}",
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.settings",
    }
