"""The protocol underneath the handlers: pygls, with its life cycle and error replies as the specification has them.

Differences from pygls 2.1: no second copy of every document, a reply to malformed parameters, no traceback and no file
text in replies or logs, the prescribed errors before `initialize` and after `shutdown`, an end when the editor is gone.
"""

import asyncio
import logging
import os
import sys
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

PARENT_CHECK_SECONDS = 3.0
_BEFORE_INITIALIZE = frozenset({types.INITIALIZE, types.EXIT})


class Protocol(LanguageServerProtocol):
    """pygls' protocol, mended by overriding; what it keeps of documents is never asked for."""

    # Documents live in our session. Without these built-ins the handlers of server.py are called directly.
    lsp_text_document__did_open = None  # type: ignore[assignment]
    lsp_text_document__did_change = None  # type: ignore[assignment]
    lsp_text_document__did_close = None  # type: ignore[assignment]
    lsp_notebook_document__did_open = None  # type: ignore[assignment]
    lsp_notebook_document__did_change = None  # type: ignore[assignment]
    lsp_notebook_document__did_close = None  # type: ignore[assignment]

    @property
    def was_shut_down(self) -> bool:
        return self._shutdown

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException:
            if "id" in data and "method" in data:
                method = str(data["method"])[:100]
                malformed = (JsonRpcInvalidParams.CODE, f"{method}: the parameters are not the protocol's")
                self._refuse(data["id"], *(self._out_of_turn(method) or malformed))
            raise

    def handle_message(self, message: Any) -> None:
        refusal = self._out_of_turn(getattr(message, "method", None))
        if refusal is None:
            super().handle_message(message)
        elif (id := getattr(message, "id", None)) is not None:  # notifications are dropped: they have no reply
            self._refuse(id, *refusal)

    def _out_of_turn(self, method: str | None) -> tuple[int, str] | None:
        """Code and reason where the client's life cycle does not allow a method now."""
        if self._workspace is None and method is not None and method not in _BEFORE_INITIALIZE:
            return types.ErrorCodes.ServerNotInitialized, "send initialize first"
        if self._shutdown and method != types.EXIT:
            return types.ErrorCodes.InvalidRequest, "the server was shut down"
        return None

    def _refuse(self, id: str | int, code: int, reason: str) -> None:
        self._send_response(id, error=types.ResponseError(code=code, message=reason))

    def _send_response(
        self, msg_id: str | int, result: Any | None = None, error: types.ResponseError | None = None
    ) -> None:
        if error is not None and error.data is not None:  # pygls' tracebacks
            error = types.ResponseError(code=error.code, message=error.message)
        super()._send_response(msg_id, result, error)


class StdioServer(LanguageServer):
    """A pygls server on standard input and output that ends with the process that started it."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, version, protocol_cls=Protocol)
        logging.getLogger("pygls").setLevel(logging.CRITICAL)  # below that it logs parameters: file text

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Never a pop-up, never the message, which may quote the document: the kind of error only."""
        logging.getLogger("sc2lsp").error("%s in %s", type(error).__name__, getattr(source, "__name__", "server"))

    def serve(self) -> int:
        """Run until the client ends it; the exit status: 0 after `shutdown`, else 1 (LSP 3.18, `exit`)."""
        self.start_io()
        assert isinstance(self.protocol, Protocol)
        return 0 if self.protocol.was_shut_down else 1

    async def end_with_parent(self, process_id: int) -> None:
        """Exit with status 1 once the editor's process is gone, even where its pipes stay open."""
        while _alive(process_id):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(PARENT_CHECK_SECONDS)
        os._exit(1)  # the reader thread sits in a read that may never return


def _alive(process_id: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it; Windows closes the pipes of a dead parent
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
