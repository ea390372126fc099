"""A review as JSON in our own form, as Markdown for people, and as GitLab's Code Quality report.

Text of the code goes into JSON strings and into fenced blocks, whose fence is longer than any inside. The form of the
JSON is in the README.
"""

import hashlib
import re
from pathlib import PurePosixPath
from typing import Any

from sc2lsp_review.bot import Review
from sc2lsp_review.rule import Finding

FORM = "sc2lsp-review/1"


def as_json(review: Review) -> dict[str, Any]:
    return {
        "form": FORM,
        "model": review.model,
        "places": review.places,
        "asked": review.asked,
        "seconds": review.seconds,
        "findings": [_finding(finding) for finding in review.findings],
        "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in review.skipped],
    }


def as_code_quality(review: Review) -> list[dict[str, Any]]:
    return [
        {
            "description": finding.message,
            "check_name": rule_id(finding),
            "fingerprint": fingerprint(finding),
            "severity": "info",
            "location": {"path": finding.place.path, "lines": {"begin": finding.place.line, "end": finding.place.line}},
        }
        for finding in review.findings
    ]


def as_markdown(review: Review) -> str:
    """A page for a job's summary."""
    found = len(review.findings)
    asked = f"{review.asked} of {review.places} places asked in {review.seconds} s"
    parts = [f"### sc2lsp review: {found or 'no'} suggestion{'' if found == 1 else 's'}\n\n{asked}.\n"]
    for finding in review.findings:
        place = finding.place
        parts.append(f"**{in_code(place.path)} line {place.line}** {escaped(finding.message)}\n\n{fenced(finding, '')}")
    if review.skipped:
        parts.append("Not looked at:\n")
        parts.append("\n".join(f"- {in_code(one.path)}: {escaped(one.reason)}" for one in review.skipped) + "\n")
    return "\n".join(parts)


def rule_id(finding: Finding) -> str:
    return {"name": "sc2lsp/other-name", "unfinished": "sc2lsp/unfinished"}[finding.place.kind]


def fingerprint(finding: Finding) -> str:
    """The same for the same words in the same file, wherever they stand in it by then."""
    place = finding.place
    said = (rule_id(finding), place.path, place.written, finding.suggested, finding.lines[0].strip())
    return hashlib.sha256("\0".join(said).encode("utf-8", "replace")).hexdigest()


def fenced(finding: Finding, kind: str = "suggestion") -> str:
    """The lines in a Markdown block that nothing in them can end."""
    text = "\n".join(finding.lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}{kind or language(finding)}\n{text}\n{fence}\n"


def language(finding: Finding) -> str:
    suffix = PurePosixPath(finding.place.path).suffix[1:]
    return suffix if suffix.isalnum() and suffix.isascii() else ""


def plain(text: str) -> str:
    """Text for a log: what could steer a terminal, or a job's runner (`::` and `##[`), is replaced."""
    return "".join(char if char.isalnum() or char in "_-./ ,;:()'@+=" else "?" for char in text).replace("::", "??")


def in_code(text: str) -> str:
    """Text in a code span, which nothing in it can end."""
    return f"`{plain(text)}`"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>#&|~!@])", r"\\\1", " ".join(text.split()))


def _finding(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "path": place.path,
        "start_line": place.line,
        "end_line": place.line,
        "start_column": place.start,
        "end_column": place.end,
        "kind": place.kind,
        "written": place.written,
        "suggested": finding.suggested,
        "lines": list(finding.lines),
        "mean_logprob": finding.mean_logprob,
        "message": finding.message,
        "suggestion": fenced(finding),
        "fingerprint": fingerprint(finding),
    }
