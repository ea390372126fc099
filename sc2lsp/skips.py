"""Where a model is not asked, whatever the settings of the file: in secrets, inside words, in comments if so set."""

from sc2lsp.comments import in_comment
from sc2lsp.context.document import Document
from sc2lsp.context.secrets import find_secrets
from sc2lsp.session import Target

NEAR_LINES = 10  # on either side, in which a secret at the cursor begins and ends


def why_not_here(target: Target, is_explicit: bool) -> str | None:
    """Why nothing is completed at a cursor; None where it is. An explicit request is refused for secrets only."""
    document, offset = target.document, target.offset
    if in_secret(document, offset):
        return "the cursor is in a secret"
    if is_explicit:
        return None
    if _is_word(document.text[offset - 1 : offset]) and _is_word(document.text[offset : offset + 1]):
        return "the cursor is inside a word"
    if not target.folder.config.comments and in_comment(document, offset):
        return "completion is turned off in comments: comments = false"
    return None


def in_secret(document: Document, offset: int) -> bool:
    """Whether the text at the cursor looks like a key or a password."""
    line = document.lines.line_of(offset)
    start = document.lines.start(max(line - NEAR_LINES, 0))
    after = line + NEAR_LINES
    end = document.lines.start(after) if after < document.line_count else len(document.text)
    near, cursor = document.text[start:end], offset - start
    typed = document.text[document.lines.start(line) : offset]
    unclosed = [quote for quote in "\"'" if typed.count(quote) % 2]  # what is typed in them is read as if it ended here
    texts = (near, *(near[:cursor] + quote for quote in unclosed))
    return any(secret.start < cursor <= secret.end for text in texts for secret in find_secrets(text))


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
