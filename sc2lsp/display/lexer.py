"""Comments, strings and brackets of a text, by the lexical rules of its language's family alone.

For fragments that no grammar parses: half-typed code, and what a model wrote. Knows no statements. What is interpolated
into a string counts as the string, and a family that is unknown has double quotes and brackets only.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Kind = Literal["open", "close", "string", "comment"]

OPENER_OF: Mapping[str, str] = {")": "(", "]": "[", "}": "{"}
_TRIPLE = r'"""(?:\\[\s\S]|[^\\"]++|"(?!""))*+'
_TRIPLE_APOSTROPHE = r"'''(?:\\[\s\S]|[^\\']++|'(?!''))*+"
_QUOTED = r'"(?:\\[^\n]|[^"\\\n]++)*+'
_APOSTROPHES = r"'(?:\\[^\n]|[^'\\\n]++)*+"
_CHARACTER = r"'(?:\\[^\n]{1,10}?|[^'\\\n])(?=')"  # a lone apostrophe is none: a lifetime, a symbol
_LONG_QUOTED = r'"(?:\\[\s\S]|[^"\\]++)*+'
_LONG_APOSTROPHES = r"'[^']*+"


@dataclass(frozen=True, slots=True)
class _Form:
    """How something begins and goes on, and what ends it: where that is "", the end of the line does."""

    kind: Kind
    begun: str
    end: str


def _comments(line: str = "//", block: bool = True) -> tuple[_Form, ...]:
    blocks = (_Form("comment", r"/\*(?:[^*]++|\*(?!/))*+", r"\*/"),) if block else ()
    return (*blocks, *((_Form("comment", rf"{line}[^\n]*+", ""),) if line else ()))


def _strings(*begun: str) -> tuple[_Form, ...]:
    ends = {_TRIPLE: '"""', _TRIPLE_APOSTROPHE: "'''"}
    return tuple(_Form("string", form, ends.get(form, form[0])) for form in begun)


_REGEX = (  # where no value stands before it that could be divided
    r"(?:(?<=[=(,:\[!&|?;{])|(?<=[=(,:\[!&|?;{] )|(?<=return ))/(?![/*])"
    r"(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n]){0,99}+\]|[^/\\\n\[]){0,199}+"
)
_BACKTICKS = r"`(?:\\[\s\S]|[^`\\]++)*+"
_FORMS: Mapping[str, tuple[_Form, ...]] = {
    "": _strings(_QUOTED),
    "python": (*_comments("#", block=False), *_strings(_TRIPLE, _TRIPLE_APOSTROPHE, _QUOTED, _APOSTROPHES)),
    "script": (
        *_comments(),
        _Form("string", rf"(?<!\w){_APOSTROPHES}", "'"),  # none in the text of an element
        _Form("string", _REGEX, "/"),
        *_strings(_QUOTED, _BACKTICKS),
    ),
    "go": (*_comments(), *_strings(_QUOTED, _CHARACTER, r"`[^`]*+")),
    "java": (*_comments(), *_strings(_TRIPLE, _QUOTED, _CHARACTER)),
    "rust": (
        *_comments(),
        _Form("string", r'#"(?:[^"]++|"(?!#))*+', '"#'),
        *_strings(_LONG_QUOTED, _CHARACTER),
    ),
    "c": (*_comments(), *_strings(_QUOTED, _CHARACTER)),
    "csharp": (*_comments(), _Form("string", r'@"(?:[^"]++|"")*+', '"'), *_strings(_TRIPLE, _QUOTED, _CHARACTER)),
    "ruby": (*_comments("#", block=False), *_strings(_QUOTED, _APOSTROPHES)),
    "php": (*_comments(r"(?://|#(?!\[))"), *_strings(_LONG_QUOTED, r"'(?:\\[\s\S]|[^'\\]++)*+")),
    "kotlin": (*_comments(), *_strings(_TRIPLE, _QUOTED, _CHARACTER)),
    "scala": (*_comments(), *_strings(_TRIPLE, _QUOTED, _CHARACTER)),
    "lua": (
        _Form("comment", r"--\[\[(?:[^\]]++|\](?!\]))*+", r"\]\]"),
        *_comments("--", block=False),
        _Form("string", r"\[\[(?:[^\]]++|\](?!\]))*+", r"\]\]"),
        *_strings(_QUOTED, _APOSTROPHES),
    ),
    "bash": (*_comments(r"(?<![^\s;])#", block=False), *_strings(_LONG_QUOTED, _LONG_APOSTROPHES)),
}
_FIRST = r"(?=[\"'`/#@()\[\]{}-])"  # of all forms and brackets: most characters cost one look
_CASE_LABEL = r"^[ \t]*+[\w*?|.\"' -]++\)"  # of a shell's `case`, whose bracket has no partner
_LINE_COMMENTS: Mapping[str, str] = {"python": "#", "ruby": "#", "bash": "#", "lua": "--", "": ""}


def line_comment(family: str) -> str:
    """What a comment to the end of the line begins with; "" where the family has none, or is unknown."""
    return _LINE_COMMENTS.get(family, "//")


@dataclass(frozen=True, slots=True)
class Token:
    """A bracket, or a string or comment of code points [start, end); one `is_open` that the text ends within."""

    kind: Kind
    start: int
    end: int
    is_open: bool = False


def tokens(family: str, text: str) -> Iterator[Token]:
    """The brackets, strings and comments of a text that begins as code."""
    forms, pattern = _pattern(family if family in _FORMS else "")
    for found in pattern.finditer(text):
        number = found.lastindex
        if number is None:  # a shell's label
            continue
        if number > 2 * len(forms):
            yield Token("open" if found[0] in "([{" else "close", found.start(), found.end())
            continue
        form = forms[(number - 1) // 2]
        is_ended = found[number + 1] is not None if form.end else False
        yield Token(form.kind, found.start(), found.end(), not is_ended and found.end() == len(text))


@cache
def _pattern(family: str) -> tuple[tuple[_Form, ...], re.Pattern[str]]:
    """Each form is a group, its end a group within that; brackets are the group behind them all."""
    forms = _FORMS[family]
    parts = [f"({form.begun}({form.end})?)" if form.end else f"({form.begun}())" for form in forms]
    parts.append(r"([()\[\]{}])")
    label = f"{_CASE_LABEL}|" if family == "bash" else ""
    return forms, re.compile(f"{label}{_FIRST}(?:{'|'.join(parts)})", re.MULTILINE)
