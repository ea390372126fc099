"""A text as the parser saw it: bytes, and nodes that say which of them are theirs. This module knows no language."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import tree_sitter

LINE_END = re.compile(rb"\r\n|\r|\n")
LONE_RETURN = re.compile(rb"\r(?!\n)")
MOST_BYTES = 4096  # of a name, and of a line on either side of what is looked for: enough for people, not for machines


@dataclass(frozen=True, slots=True)
class Source:
    """The UTF-8 of a text. The parser's rows end at `\\n` alone: where a lone `\\r` ends lines, rows are no lines."""

    encoded: bytes  # a lone \r is replaced by \n, which moves nothing
    starts: Sequence[int]  # of the lines, in bytes; empty where rows are lines

    @staticmethod
    def of(text: str) -> "Source":
        # What the parser saw; asking a node for its text would read it anew from the parser's callback, block by block.
        encoded = text.encode("utf-8", "surrogatepass")
        if b"\r" not in encoded or LONE_RETURN.search(encoded) is None:
            return Source(encoded, ())
        starts = [0, *(match.end() for match in LINE_END.finditer(encoded))]
        return Source(LONE_RETURN.sub(b"\n", encoded), starts)

    def text(self, node: tree_sitter.Node | None) -> str:
        if node is None:
            return ""
        start = node.start_byte
        return self.encoded[start : min(node.end_byte, start + MOST_BYTES)].decode("utf-8", "replace")

    def first_line(self, node: tree_sitter.Node) -> int:
        return bisect_right(self.starts, node.start_byte) - 1 if self.starts else node.start_point[0]

    def last_line(self, node: tree_sitter.Node) -> int:
        """The line of the node's last byte, which may be a line's end."""
        if self.starts:
            return bisect_right(self.starts, max(node.end_byte - 1, node.start_byte)) - 1
        row, column = node.end_point
        return row - 1 if column == 0 and node.end_byte > node.start_byte else row

    def line_start(self, byte: int) -> int:
        """Where the line of a byte starts, or the byte itself where that is too far away."""
        return self.encoded.rfind(b"\n", max(byte - MOST_BYTES, 0), byte) + 1 or (byte if byte > MOST_BYTES else 0)

    def line_end(self, byte: int) -> int:
        """Where the line of a byte ends, its terminator excluded, or a place in it where that is too far away."""
        end = self.encoded.find(b"\n", byte, byte + MOST_BYTES)
        return end if end >= 0 else min(byte + MOST_BYTES, len(self.encoded))

    def lines(self, start: int, stop: int) -> str:
        """The whole lines that hold the bytes [start, stop), each ending with `\\n`."""
        text = self.encoded[self.line_start(start) : self.line_end(max(stop - 1, start))].decode("utf-8", "replace")
        return text.replace("\r\n", "\n").removesuffix("\r") + "\n"


def named_child(node: tree_sitter.Node | None, number: int) -> tree_sitter.Node | None:
    """A named child, counted from the end where negative; None where broken code lacks it."""
    count = node.named_child_count if node is not None else 0
    number = number if number >= 0 else count + number
    return node.named_child(number) if node is not None and 0 <= number < count else None
