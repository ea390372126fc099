"""A language server that answers every request for completion, however late and whether or not it was cancelled.

    python late_server.py SECONDS

Each answer says for which column it was asked: `<7>` for column 7. Ours never does so; a client has to bear it.
"""

import json
import sys
import threading
from typing import Any

CAPABILITIES = {"positionEncoding": "utf-8", "textDocumentSync": 2, "inlineCompletionProvider": {}}
lock = threading.Lock()


def send(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with lock:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        sys.stdout.buffer.flush()


def read() -> dict[str, Any]:
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return dict(json.loads(sys.stdin.buffer.read(length))) if length else {}


def answer(message: dict[str, Any], seconds: float) -> None:
    match message.get("method"):
        case "initialize":
            send({"id": message["id"], "result": {"capabilities": CAPABILITIES}})
        case "textDocument/inlineCompletion":
            position = message["params"]["position"]
            item = {"insertText": f"<{position['character']}>", "range": {"start": position, "end": position}}
            reply = {"id": message["id"], "result": {"items": [item]}}
            threading.Timer(seconds, send, [reply]).start()
        case _ if "id" in message:
            send({"id": message["id"], "result": None})
        case _:
            pass  # a notification


if __name__ == "__main__":
    while (received := read()) and received.get("method") != "exit":
        answer(received, float(sys.argv[1]))
