"""Which lines open a block, by language family: in braces, by a colon, by a word.

Looks at single lines; whether a bracket is open around them is for the caller to say.
"""

import re
from collections.abc import Mapping

_BRACE = r"\{\s*(?://.*|\|[^|]*\|\s*|[\w, ]+->\s*)?$"
_LABEL = r"^\s*(?:case\b.*|default|public|private|protected)\s*:\s*$"
_WORDS = r"\b(?:do|then|else|begin|ensure)\s*(?:\|[^|]*\|)?\s*$"
_OPENERS: Mapping[str, re.Pattern[str]] = {
    family: re.compile(pattern)
    for family, pattern in {
        "": r"(?:[\[{]|:(?:\s+[|>][+-]?)?)\s*$",  # JSON, YAML and the like
        "python": r"(?<![:\s]):\s*(?:#.*)?$",
        "script": f"{_BRACE}|{_LABEL}",
        "go": f"{_BRACE}|{_LABEL}",
        "java": f"{_BRACE}|{_LABEL}",
        "rust": _BRACE,
        "c": f"{_BRACE}|{_LABEL}",
        "csharp": f"{_BRACE}|{_LABEL}",
        "php": f"{_BRACE}|{_LABEL}",
        "kotlin": f"{_BRACE}|->\\s*$",
        "scala": rf"{_BRACE}|(?:=>?|\b(?:then|else|do|yield|match))\s*$|^\s*(?:class|object|trait|enum)\b.*:\s*$",
        "ruby": rf"{_WORDS}|\|[^|]*\|\s*$|^\s*(?:def|class|module|if|unless|while|until|case|when|for|elsif|rescue)\b"
        r".*[\w)?!\]]\s*$",
        "lua": rf"{_WORDS}|^\s*repeat\s*$|\bfunction\b[^()]*\([^()]*\)\s*$",
        "bash": rf"{_WORDS}|\{{\s*$|\bin\s*$|^[^()]*\)\s*$",
    }.items()
}
_BRACELESS = re.compile(r"^\s*(?:\}?\s*else\s+)?(?:if|for|while)\b.*\)\s*$|\belse\s*$")
_LAMBDA = re.compile(r"\blambda\b[^:]*:\s*$")
_BRACED = frozenset("script java c csharp php kotlin scala".split())
_ENDS: Mapping[str, frozenset[str]] = {
    "ruby": frozenset("end else elsif when rescue ensure".split()),
    "lua": frozenset("end else elseif until".split()),
    "bash": frozenset("fi done esac else elif ;;".split()),
}
ENDS_ALL = frozenset("end until fi done esac".split())  # that nothing of the block follows


def opens(family: str, line: str) -> bool:
    """Whether a block belongs below a line."""
    pattern = _OPENERS.get(family, _OPENERS[""])
    return pattern.search(line) is not None and not (family == "python" and _LAMBDA.search(line))


def awaits(family: str, line: str) -> bool:
    """Whether a line is nothing without the one below it."""
    return opens(family, line) or (family in _BRACED and _BRACELESS.search(line) is not None)


def end_word(family: str, line: str) -> str:
    """The word at the start of a line that ends the block around it, as `end` does; "" for none."""
    ends = _ENDS.get(family)
    if ends is None:
        return ""
    found = re.match(r"\s*(;;|\w+)", line)
    return found[1] if found is not None and found[1] in ends else ""


def has_end_words(family: str) -> bool:
    """Whether blocks of a family end with a word."""
    return family in _ENDS
