"""A prompt as text, for servers that take no token ids: control tokens by name, in which no user's text is mistaken.

Such a server reads every name of a control token as that token. So text that spells one gets a space behind its first
character, which is the least that makes it another text.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby

from sc2lsp.runtime.tokenizer import Tokenizer


class PromptText:
    """Token ids -> text, with the control tokens of one tokenizer. Immutable."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._decode = tokenizer.decode
        self._names = {id: name for name, id in tokenizer.control.items()}

    def of(self, ids: Sequence[int]) -> str:
        return "".join(self._parts(ids))

    def neutral(self, text: str) -> str:
        """`text` without the name of any control token."""
        return self._spelled.sub(lambda name: f"{name[0][0]} {name[0][1:]}", text)

    def _parts(self, ids: Sequence[int]) -> Iterator[str]:
        for is_control, run in groupby(ids, self._names.__contains__):
            if is_control:
                yield from (self._names[id] for id in run)
            else:
                yield self.neutral(self._decode(list(run)))

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._names.values())))
