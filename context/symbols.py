"""What a file says, as values: its definitions, its imports, and the identifiers that occur in it.

They hold no tree and no text beyond a definition's header, so that they outlive both. How they are found is `tags`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """A definition: 0-based lines, end exclusive; its header's source lines; the dotted names around it."""

    name: str
    kind: str
    start_line: int
    end_line: int
    signature: str
    scope: str

    @property
    def signature_end(self) -> int:
        return self.start_line + self.signature.count("\n")


@dataclass(frozen=True, slots=True)
class Import:
    """A module as written, what is taken from it, and how many packages up a relative one starts."""

    module: str
    names: tuple[tuple[str, str], ...]  # (name there, name here); "*" for all, "default" for a script's default
    alias: str  # what the module itself is called here, "" where it has no name of its own
    level: int


@dataclass(frozen=True, slots=True)
class FileTags:
    definitions: tuple[Tag, ...]
    words: tuple[str, ...]  # the identifiers that occur, each once, in order
    occurrences: int  # of words, each as often as it occurs
    imports: tuple[Import, ...]
