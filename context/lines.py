"""Where the lines of a text start, kept up to date across edits without touching the lines that only moved.

A line ends at `\\n`, `\\r\\n` or a lone `\\r`, as the Language Server Protocol has it; at nothing else. Offsets count
code points; this module knows no encodings and no documents.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

TERMINATOR = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class LineStarts:
    """Start of line n is `starts[n]`, plus `shift` for the lines after `pivot`: typing in one line costs O(1)."""

    starts: list[int]  # never mutated; shared between the versions of a document
    pivot: int
    shift: int

    @staticmethod
    def of(text: str) -> "LineStarts":
        return LineStarts([0, *(match.end() for match in TERMINATOR.finditer(text))], 0, 0)

    def __len__(self) -> int:
        return len(self.starts)

    def start(self, line: int) -> int:
        return self.starts[line] + (self.shift if line > self.pivot else 0)

    def line_of(self, offset: int) -> int:
        """The line that holds the code point at `offset`; the last line for the end of the text."""
        after = self.pivot + 1
        if after < len(self.starts) and offset >= self.start(after):
            return bisect_right(self.starts, offset - self.shift, lo=after) - 1
        return bisect_right(self.starts, offset, hi=after) - 1

    def edited(self, text: str, start: int, end: int, inserted: int) -> "LineStarts":
        """Line starts of `text`, which came about by putting `inserted` code points in place of [start, end)."""
        # A lone \r just before the edit may join a \n now: then look again from its line.
        first = self.line_of(start - 1 if start and text[start - 1] == "\r" else start)
        last = self.line_of(end)
        delta = inserted - (end - start)
        begin = self.start(first)
        stop = self.start(last + 1) + delta if last + 1 < len(self) else len(text) + 1
        fresh = [match.end() for match in TERMINATOR.finditer(text, begin, stop) if match.end() < stop]
        if not fresh and first == last and (self.shift == 0 or first == self.pivot):
            return LineStarts(self.starts, first, self.shift + delta)
        return LineStarts(self._between(0, first + 1, 0) + fresh + self._between(last + 1, len(self), delta), 0, 0)

    def _between(self, first: int, stop: int, delta: int) -> list[int]:
        """Starts of the lines [first, stop), moved by `delta`."""
        split = min(max(self.pivot + 1, first), stop)
        behind = self.shift + delta
        before = [start + delta for start in self.starts[first:split]] if delta else self.starts[first:split]
        return before + ([start + behind for start in self.starts[split:stop]] if behind else self.starts[split:stop])


def count_lines(text: str) -> int:
    """The lines of a text that has some, an end without terminator included; 0 for none."""
    if not text:
        return 0
    lines = text.count("\n")
    if "\r" in text:
        lines += text.count("\r") - text.count("\r\n")
    return lines + (not text.endswith(("\n", "\r")))
