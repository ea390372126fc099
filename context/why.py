"""Why a snippet is in a prompt, in words: what of the text around the cursor speaks for it.

The ranking weighs some fifty numbers by a network; this names those that people can check. Knows no ranking.
"""

from collections.abc import Iterator

from .cursor import NEAR_VARIABLE, Cursor, look
from .document import Document
from .outline import Outline
from .retrieve import Snippet


def reasons(snippet: Snippet, document: Document, outline: Outline, offset: int) -> str:
    """Such as "imported here, named 3 times in this file"."""
    if snippet.kind == "usage":
        return "resembles the lines around the cursor"
    found = list(_evidence(snippet, look(document, outline, offset), outline))
    return ", ".join(found) or "used by files like this one"


def _evidence(snippet: Snippet, cursor: Cursor, outline: Outline) -> Iterator[str]:
    name = snippet.name
    if name and name == cursor.callee:
        yield "called at the cursor"
    if any(name in (there, here) for found in outline.imports for there, here in found.names):
        yield "imported here"
    typed = sorted(variable for variable, types in cursor.declared.items() if name in types)
    near = [variable for variable in typed if cursor.near.get(variable, 0.0) > NEAR_VARIABLE]
    if near:
        yield f"what {near[0]} is"
    if name in cursor.supers:
        yield "named in the header of the class around"
    if cursor.near.get(name):
        yield "named near the cursor"
    elif count := cursor.counts.get(name, 0):
        yield f"named {count} {'time' if count == 1 else 'times'} in this file"
