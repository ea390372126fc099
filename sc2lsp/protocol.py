"""JSON-RPC and LSP's life cycle over pygls' handlers, as the specifications have them.

Differences from pygls 2.1: every request is answered exactly once whatever is in it, no second copy of every document,
no traceback and no text of a message in replies or logs, the prescribed errors before `initialize` and after
`shutdown`, an `exit` that ends this client alone. Knows nothing of how messages travel.
"""

import asyncio
import contextvars
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any, cast

import attrs
import cattrs
import msgspec
from lsprotocol import converters, types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method

from sc2lsp.framing import INVALID_REQUEST, Fault, Message

INVALID_PARAMS = -32602
# What these errors say is ours: pygls would quote the client, or show where in the code something failed.
_REASONS: Mapping[int, str] = {
    -32601: "no such method here",
    INVALID_PARAMS: "the parameters are not the protocol's",
    -32603: "internal error",
    types.LSPErrorCodes.RequestCancelled: "cancelled",
}

Admit = Callable[[dict[str, Any]], Fault | None]


def default_converter() -> cattrs.Converter:
    """lsprotocol's, ending at the first error: pygls' collects an exception for each wrong item of a list."""
    return converters.get_converter(cattrs.Converter(detailed_validation=False))


class Protocol(LanguageServerProtocol):
    """pygls' protocol, mended by overriding; what it keeps of documents is never asked for.

    Parameters of methods that LSP does not define reach handlers as the JSON that they are.
    """

    # Documents live in our session. Without these built-ins the handlers of server.py are called directly.
    lsp_text_document__did_open = None  # type: ignore[assignment]
    lsp_text_document__did_change = None  # type: ignore[assignment]
    lsp_text_document__did_close = None  # type: ignore[assignment]
    lsp_notebook_document__did_open = None  # type: ignore[assignment]
    lsp_notebook_document__did_change = None  # type: ignore[assignment]
    lsp_notebook_document__did_close = None  # type: ignore[assignment]

    def __init__(self, server: Any, converter: cattrs.Converter) -> None:
        super().__init__(server, converter)
        self.admit: Admit | None = None  # looks at the parameters of `initialize`, may take from them and refuse
        self.send: Callable[[bytes], None] | None = None  # takes the JSON of one message
        self.has_ended = False
        self._is_confirmed = False  # by `initialized`
        # All of it mutates on the event loop, like all that pygls keeps.

    @property
    def was_shut_down(self) -> bool:
        return self._shutdown

    @property
    def is_initialized(self) -> bool:
        return self._workspace is not None

    def receive(self, message: Message | Fault) -> None:
        """Handle what a client sent; a coroutine's first step runs when the event loop is next free."""
        if isinstance(message, Fault):
            self._refuse(None, message)
        elif "method" not in message and ("result" in message or "error" in message):
            self._receive_response(message)
        else:
            self._receive_call(message)

    def _receive_call(self, message: Message) -> None:
        objection = _malformed(message) or self._out_of_turn(message["method"]) or self._unknown(message)
        if objection is None and message["method"] == types.INITIALIZE:
            objection = self._admission(message)
        if objection is None:
            try:
                self._dispatch(message["method"], message.get("id"), self._params(message))
            except JsonRpcException:
                objection = Fault(INVALID_PARAMS, _REASONS[INVALID_PARAMS])
        if objection is not None and ("id" in message or not isinstance(message.get("method"), str)):
            self._refuse(message.get("id") if _is_id(message.get("id")) else None, objection)

    def _dispatch(self, method: str, id: int | str | None, params: Any) -> None:
        self._is_confirmed |= method == types.INITIALIZED
        context = contextvars.copy_context()  # `msg_id` is kept in it
        if id is None:
            context.run(self._handle_notification, method, params)
        else:
            context.run(self._handle_request, id, method, params)

    def _params(self, message: Message) -> Any:
        """The parameters as lsprotocol's types. Raises JsonRpcException."""
        if message["method"] not in types.METHOD_TO_TYPES:
            return message.get("params")
        known: Message = {name: message[name] for name in ("jsonrpc", "id", "method", "params") if name in message}
        return cast(Any, self.structure_message(known)).params

    def _out_of_turn(self, method: str) -> Fault | None:
        """What the client's life cycle does not allow now."""
        if not self.is_initialized and method not in (types.INITIALIZE, types.EXIT):
            return Fault(types.ErrorCodes.ServerNotInitialized, "send initialize first")
        if self._shutdown and method != types.EXIT:
            return Fault(INVALID_REQUEST, "the server was shut down")
        if (self.is_initialized and method == types.INITIALIZE) or (self._is_confirmed and method == types.INITIALIZED):
            return Fault(INVALID_REQUEST, "the server is initialized")
        return None

    def _unknown(self, message: Message) -> Fault | None:
        """A method without a handler, a notification sent as a request or the other way round."""
        method = message["method"]
        if method not in self.fm.builtin_features and method not in self.fm.features and method != types.CANCEL_REQUEST:
            return Fault(types.ErrorCodes.MethodNotFound, _REASONS[types.ErrorCodes.MethodNotFound])
        kind = self.get_message_type(method)
        if kind is not None and ("id" in attrs.fields_dict(kind)) != ("id" in message):
            return Fault(INVALID_REQUEST, "requests have an id, notifications have none")
        return None

    def _admission(self, message: Message) -> Fault | None:
        params = message.get("params")
        return self.admit(params) if self.admit is not None and isinstance(params, dict) else None

    def _receive_response(self, message: Message) -> None:
        """The client's answer to a request of ours; any other is ignored."""
        id = message.get("id")
        if not _is_id(id) or id not in self._result_types:
            return
        try:
            result = None if "error" in message else cast(Any, self.structure_message(message)).result
        except JsonRpcException:
            self._handle_response(id, None, types.ResponseError(INVALID_PARAMS, "the result is not the protocol's"))
            return
        self._result_types.pop(id, None)
        self._handle_response(id, result, _error(message["error"]) if "error" in message else None)

    def _handle_response(self, msg_id: Any, result: Any = None, error: types.ResponseError | None = None) -> None:
        future = self._request_futures.get(msg_id)
        if future is not None and future.done():  # whoever asked was cancelled
            del self._request_futures[msg_id]
        else:
            super()._handle_response(msg_id, result, error)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        if _is_id(msg_id) and msg_id in self._request_futures and msg_id not in self._result_types:
            self._request_futures[msg_id].cancel()  # and not forgotten before it is answered

    def _execute_handler(
        self,
        msg_id: Any,
        handler: Callable[..., Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def finish(future: Future[Any]) -> None:
            self._request_futures.pop(msg_id, None)  # pygls keeps those of notifications
            callback(future)

        super()._execute_handler(msg_id, handler, finish, args, kwargs)

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """Nothing is asked for any more; what was is cancelled, and so answered, before this is."""
        self._shutdown = True
        self._cancel_all(but=self.msg_id)
        if (handler := self.fm.features.get(types.SHUTDOWN)) is not None:
            yield handler, args, None

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: Any) -> None:  # type: ignore[override]
        self.has_ended = True

    async def finish(self, seconds: float) -> None:
        """Let a `shutdown` under way be answered, in so much time; cancel all else."""
        if not self._shutdown:
            self._cancel_all()
        pending = [_awaitable(future) for future in self._request_futures.values() if not future.done()]
        if pending:
            await asyncio.wait(pending, timeout=seconds)
        self._cancel_all()

    def _cancel_all(self, but: Any = None) -> None:
        for id, future in list(self._request_futures.items()):
            if id != but:
                future.cancel()

    # pygls caches these for each instance, and so keeps instances.
    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        return types.METHOD_TO_TYPES.get(method, (None,))[0]

    def get_result_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        return types.METHOD_TO_TYPES.get(method, (None, None))[1]

    def _refuse(self, id: int | str | None, fault: Fault) -> None:
        error = {"code": int(fault.code), "message": fault.reason}
        self._send_data({"jsonrpc": self.VERSION, "id": id, "error": error})

    def _send_response(self, msg_id: Any, result: Any = None, error: types.ResponseError | None = None) -> None:
        if error is not None:
            self._refuse(msg_id, Fault(error.code, _REASONS.get(error.code, error.message)))
        else:
            self._send_data({"jsonrpc": self.VERSION, "id": msg_id, "result": result})

    def _send_data(self, data: Any) -> None:
        if self.send is not None:
            plain = self._converter.unstructure(data)
            self.send(msgspec.json.encode(plain, enc_hook=self._serialize_message))


def _malformed(message: Message) -> Fault | None:
    """What JSON-RPC 2.0 does not allow; an id of null, which it does, LSP does not."""
    if message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        return Fault(INVALID_REQUEST, "not a message of JSON-RPC 2.0")
    if "id" in message and not _is_id(message["id"]):
        return Fault(INVALID_REQUEST, "an id is an integer or a string")
    return None


def _is_id(id: object) -> bool:
    return isinstance(id, str | int) and not isinstance(id, bool)


def _error(error: object) -> types.ResponseError:
    """What a client answers may be anything."""
    code = error.get("code") if isinstance(error, dict) else None
    return types.ResponseError(code if isinstance(code, int) else INVALID_REQUEST, "refused by the client")


def _awaitable(future: Any) -> "asyncio.Future[Any]":
    return future if isinstance(future, asyncio.Future) else asyncio.wrap_future(future)
