"""Stands between an editor and its server, passes everything on, and writes down when.

    python tap.py FILE SERVER ARGUMENTS

FILE gets a line of JSON for each answered request: its method, the seconds from the moment when it had arrived here
whole to the one when its answer had, and how many items that has. Runs by itself, so it imports nothing of ours.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import IO, Any


def messages(source: IO[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The messages of a stream, each as it came and as what it says."""
    while head := b"".join(iter(source.readline, b"\r\n")):
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n") if line)
        body = source.read(int(fields[b"content-length"]))
        yield head + b"\r\n" + body, json.loads(body)


def main(file: Path, command: list[str]) -> int:
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None and server.stdout is not None
    asked: dict[Any, tuple[str, float]] = {}  # by id: method, when

    def ask(sink: IO[bytes]) -> None:
        for raw, message in messages(sys.stdin.buffer):
            if "id" in message and "method" in message:
                asked[message["id"]] = (message["method"], perf_counter())
            sink.write(raw)
            sink.flush()
        sink.close()

    Thread(target=ask, args=(server.stdin,), daemon=True).start()
    with file.open("a", encoding="utf-8") as out:
        for raw, message in messages(server.stdout):
            now = perf_counter()
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()
            if "method" not in message and message["id"] in asked:
                method, at = asked.pop(message["id"])
                result = message.get("result")
                items = len(result.get("items", ())) if isinstance(result, dict) else 0
                out.write(json.dumps({"method": method, "seconds": now - at, "items": items}) + "\n")
                out.flush()
    return server.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
