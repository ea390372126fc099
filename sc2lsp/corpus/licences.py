"""Under which licence a file is: its own SPDX tag, else the nearest licence text, else what its package declares.

Identifiers are SPDX's. Texts are compared with the published ones; nothing here gives legal advice.
"""

import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from license_expression import ExpressionError, LicenseSymbol, get_spdx_licensing

PERMISSIVE = frozenset(
    """0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 BlueOak-1.0.0 CC0-1.0 HPND ISC MIT MIT-0
    MIT-CMU NCSA PSF-2.0 PostgreSQL Python-2.0 UPL-1.0 Unlicense X11 ZPL-2.1 Zlib""".split()
)
_TAG = re.compile(r"SPDX-License-Identifier:\s*([^\n*#\"'>]+)")
_COPYLEFT = re.compile(r"\bGNU (Lesser |Affero )?General Public|\b[AL]?GPL|Mozilla Public License", re.IGNORECASE)
_TEXT_NAME = re.compile(r"(licen[cs]e|copying|unlicense)([-_.].*)?", re.IGNORECASE)
_HEAD = 2500  # characters: where a file states its licence
_CLASSIFIER = re.compile(r"^Classifier: License :: OSI Approved :: (.+)$", re.MULTILINE)
_EXPRESSION = re.compile(r"^License-Expression: (.+)$", re.MULTILINE)
_NOT_PERMISSIVE = re.compile(r"GNU|GPL|Mozilla|Eclipse|European Union|Affero|Common Public|Sleepycat", re.IGNORECASE)


@cache
def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression lets one choose permissive terms only: every part of an AND, any part of an OR."""
    try:
        parsed = get_spdx_licensing().parse(expression, validate=False)
    except ExpressionError:
        return False
    return parsed is not None and _permits(parsed)


def _permits(node: object) -> bool:
    if isinstance(node, LicenseSymbol):
        return str(node.key) in PERMISSIVE
    parts = [_permits(part) for part in getattr(node, "args", ())]
    together = all if getattr(node, "operator", "").strip() == "AND" else any
    return bool(parts) and together(parts)


def stated(text: str) -> str | None:
    """What a file's head says of its own licence: an SPDX expression, "copyleft" for words of one, or None."""
    head = text[:_HEAD]
    if tag := _TAG.search(head):
        return tag[1].strip().removesuffix("-->").strip()
    return "copyleft" if _COPYLEFT.search(head) else None


def is_licence_text(path: str) -> bool:
    return _TEXT_NAME.fullmatch(PurePosixPath(path).name) is not None


def identify_text(text: bytes) -> str | None:
    """The SPDX id of a licence's text, compared with the published texts; None where it is none of them."""
    from identify.identify import license_id

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "LICENSE"
        path.write_bytes(text.decode("utf-8", "replace").encode())
        found: str | None = license_id(str(path))
    return found


def contradiction(metadata: str) -> str | None:
    """What a package's own metadata says against permissive terms, or None."""
    if expression := _EXPRESSION.search(metadata):
        said = expression[1].strip()
        return None if is_permissive(said) else said
    classifiers: list[str] = _CLASSIFIER.findall(metadata)
    against = [name for name in classifiers if _NOT_PERMISSIVE.search(name)]
    return against[0] if against and len(against) == len(classifiers) else None


def nearest(path: str, texts: Mapping[str, str]) -> str | None:
    """The licence of the innermost folder above `path` that has a licence text; `texts` is folder -> SPDX id or ""."""
    for folder in PurePosixPath(path).parents:
        if (found := texts.get(folder.as_posix())) is not None:
            return found
    return None
