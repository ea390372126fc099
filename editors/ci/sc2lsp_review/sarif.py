"""A review as SARIF 2.1.0 (OASIS), for GitHub's code scanning and whatever else reads it.

Every result is a note: nothing here fails a build. Messages hold words of ours and names; code stands in fixes, which
no viewer renders as markup, and in the Markdown message inside a fence.
"""

from typing import Any
from urllib.parse import quote

from sc2lsp import __version__
from sc2lsp_review.bot import Review
from sc2lsp_review.report import fenced, fingerprint, plain, rule_id
from sc2lsp_review.rule import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {
    "sc2lsp/other-name": (
        "OtherName",
        "The model expected another name",
        "In place of this name of an added line, the model would have written another one of the same file, and gone "
        "on as the line does. Mostly the line is right.",
    ),
    "sc2lsp/unfinished": (
        "Unfinished",
        "A body is still to be written",
        "An added line leaves a body open. The fix is what the model would begin it with, and a draft only.",
    ),
}


def as_sarif(review: Review) -> dict[str, Any]:
    driver = {"name": "sc2lsp-review", "semanticVersion": __version__, "rules": [_rule(one) for one in RULES]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notes(review)}],
        "results": [_result(finding) for finding in review.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(identifier: str) -> dict[str, Any]:
    name, short, full = RULES[identifier]
    return {
        "id": identifier,
        "name": name,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "help": {"text": full},
        "defaultConfiguration": {"level": "note"},
        "properties": {"tags": ["maintainability"], "precision": "low"},
    }


def _result(finding: Finding) -> dict[str, Any]:
    place = finding.place
    where = {"uri": quote(place.path), "uriBaseId": "%SRCROOT%"}
    region = {"startLine": place.line, "startColumn": place.start, "endLine": place.line, "endColumn": place.end}
    text = finding.message
    return {
        "ruleId": rule_id(finding),
        "ruleIndex": list(RULES).index(rule_id(finding)),
        "level": "note",
        "message": {"text": text, "markdown": f"{text}\n\n{fenced(finding)}"},
        "locations": [{"physicalLocation": {"artifactLocation": where, "region": region}}],
        "partialFingerprints": {"sc2lspReview/v1": fingerprint(finding)},
        "fixes": [_fix(finding, where)],
        "properties": {"meanLogprob": finding.mean_logprob},
    }


def _fix(finding: Finding, where: dict[str, str]) -> dict[str, Any]:
    """The new lines for the whole old one: without columns a region is of whole lines."""
    replacement = {
        "deletedRegion": {"startLine": finding.place.line, "endLine": finding.place.line},
        "insertedContent": {"text": "\n".join(finding.lines)},
    }
    change = {"artifactLocation": where, "replacements": [replacement]}
    return {"description": {"text": "What the model would have written"}, "artifactChanges": [change]}


def _notes(review: Review) -> list[dict[str, Any]]:
    said = [f"{plain(one.path)}: {plain(one.reason)}" for one in review.skipped]
    if not review.is_whole:
        said.append(f"{review.asked} of {review.places} places were asked")
    return [{"level": "note", "message": {"text": text}} for text in said]
