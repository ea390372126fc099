"""How a backend stands, told to whoever wants to know, once for every change. Knows no server."""

from sc2lsp.backend import BackendError, OnState, State


class Standing:
    """What every backend is, beside what it asks."""

    def __init__(self) -> None:
        self.on_state: OnState | None = None
        self._state: State | None = None  # that was told last
        # Mutated by: _tell and what calls it, on the event loop.

    def _tell(self, state: State) -> None:
        if state != self._state:
            self._state = state
            if self.on_state is not None:
                self.on_state(state)

    def _tell_starting(self, message: str) -> None:
        """Unless something was wrong: that is told until it is mended."""
        if self._state is None or self._state.kind != "error":
            self._tell(State("starting", message))

    def _tell_circuit(self, opened_by: BackendError | None, model: str | None) -> None:
        """What opened the circuit, or, once it is closed, the model that answers again."""
        if opened_by is not None:
            self._tell(State("error", opened_by.reason, opened_by.fix))
        elif model is not None:
            self._tell(State("ready", model))
