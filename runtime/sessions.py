"""What documents' last requests left behind: keys and values, and the suggestion that is perhaps still on the screen.

The least recently used document loses its own when a request needs the room. Knows no model.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from .kv_cache import KVCache, OutOfPages, Sequence

TAIL = 32  # tokens of a prompt that are kept as text beside its answer
_ALIKE = 24  # bytes before the cursor by which the place in an earlier answer is known


@dataclass(slots=True, eq=False)
class Session:
    """Of one document. `shown`: the end of its last prompt and the answer to it, as the bytes of their tokens."""

    sequence: Sequence = field(default_factory=Sequence)
    shown: bytes = b""

    def rest(self, tail: bytes) -> str:
        """How the last answer goes on behind `tail`, the end of the prompt now; empty where it does not.

        Someone who types the suggestion that they see, or goes back in it, finds it continued here.
        """
        pattern = tail[-_ALIKE:]
        place = self.shown.rfind(pattern) if pattern else -1
        return "" if place < 0 else self.shown[place + len(pattern) :].decode("utf-8", "ignore")


class Sessions:
    """The documents that no request is under way for; the engine holds the others."""

    def __init__(self, cache: KVCache) -> None:
        self._cache = cache
        self._idle: OrderedDict[str, Session] = OrderedDict()
        # Mutated by every method, on the engine's thread.

    def take(self, document: str) -> Session:
        return self._idle.pop(document, None) or Session()

    def put(self, document: str, session: Session) -> None:
        self._cache.shrink(session.sequence)
        self._idle[document] = session

    def reserve(self, sequence: Sequence, length: int) -> bool:
        """Whether the sequence now has pages for `length` tokens, if need be those of idle documents."""
        while True:
            try:
                self._cache.reserve(sequence, length)
                return True
            except OutOfPages:
                if not self._idle:
                    return False
                _, oldest = self._idle.popitem(last=False)
                self._cache.drop(oldest.sequence)

    def clear(self) -> None:
        for session in self._idle.values():
            self._cache.drop(session.sequence)
        self._idle.clear()
