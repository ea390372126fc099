"""Full-text search over short chunks of every file: BM25 on sub-words, in memory, by tantivy.

A chunk is a run of whole lines. Which files have changed is noted at once; their chunks follow when `catch_up` runs,
in the background. This module knows no syntax and no cursor.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tantivy import Document, Filter, Index, Occur, Query, SchemaBuilder, TextAnalyzerBuilder, Tokenizer

from .lines import LineStarts

CHUNK_LINES = 10
MAX_CODE_POINTS = 100_000_000  # of all files; what comes after is not searched
WRITER_BYTES = 15_000_000  # the least that the engine takes
SUBWORD = r"[A-Z]+[a-z]*|[a-z]+|[0-9]+"
_SUBWORD = re.compile(SUBWORD)
# The engine knows no look-ahead, so there an acronym stays with the word behind it.
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

TextOf = Callable[[str], str | None]  # of a file, by its path; None where there is nothing to search


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found: its first line, counted from 0, its text, and the BM25 score."""

    path: str
    start_line: int
    text: str
    score: float


class Lexical:
    """The chunks of a workspace's files."""

    def __init__(self) -> None:
        schema = SchemaBuilder()
        schema.add_text_field("path", stored=True, tokenizer_name="raw", index_option="basic")
        schema.add_unsigned_field("line", stored=True)
        schema.add_text_field("text", stored=True, tokenizer_name="code", index_option="freq")
        self._schema = schema.build()
        self._index = Index(self._schema)
        analyzer = TextAnalyzerBuilder(Tokenizer.regex(SUBWORD)).filter(Filter.lowercase()).build()
        self._index.register_tokenizer("code", analyzer)
        self._writer = self._index.writer(heap_size=WRITER_BYTES, num_threads=1)
        self._searcher = self._index.searcher()
        self._stale: dict[str, None] = {}  # paths, in the order in which they changed
        self._sizes: dict[str, int] = {}  # of the files whose chunks are here, in code points ...
        self._size = 0  # ... and of all of them
        # Everything but the schema mutates: the searcher by `commit`, the rest on the thread of the event loop.

    @property
    def is_stale(self) -> bool:
        return bool(self._stale)

    def touch(self, path: str) -> None:
        """A file came, changed or went."""
        self._stale[path] = None

    def catch_up(self, text_of: TextOf) -> Iterator[str]:
        """Take in what the files say now, one file a step; it is found from the next `commit` on."""
        while self._stale:
            path = next(iter(self._stale))
            del self._stale[path]
            self._replace(path, text_of(path))
            yield path

    def commit(self) -> None:
        """Make what was taken in findable. Slow for much of it: on any thread, while nothing is taken in."""
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, terms: Mapping[str, float], limit: int) -> list[Hit]:
        """The best chunks for weighted sub-words in lower case, best first."""
        clauses = [(Occur.Should, self._term(term, weight)) for term, weight in terms.items()]
        found = self._searcher.search(Query.boolean_query(clauses), limit, count=False)
        return [self._hit(score, address) for score, address in found.hits]

    def _replace(self, path: str, text: str | None) -> None:
        if path in self._sizes:
            self._size -= self._sizes.pop(path)
            self._writer.delete_documents_by_term("path", path)
        if text is None or self._size + len(text) > MAX_CODE_POINTS:
            return
        self._sizes[path] = len(text)
        self._size += len(text)
        for start, chunk in chunks(text):
            document = Document()
            document.add_text("path", path)
            document.add_unsigned("line", start)
            document.add_text("text", chunk)
            self._writer.add_document(document)

    def _term(self, term: str, weight: float) -> Query:
        return Query.boost_query(Query.term_query(self._schema, "text", term), weight)

    def _hit(self, score: float, address: Any) -> Hit:
        document = self._searcher.doc(address)
        return Hit(document["path"][0], document["line"][0], document["text"][0], score)


def chunks(text: str) -> Iterator[tuple[int, str]]:
    """First line and text of each run of lines with a word in it."""
    lines = LineStarts.of(text)
    for first in range(0, len(lines), CHUNK_LINES):
        stop = first + CHUNK_LINES
        chunk = text[lines.start(first) : lines.start(stop) if stop < len(lines) else len(text)]
        if _SUBWORD.search(chunk):
            yield first, chunk


def subwords(text: str) -> Iterator[str]:
    """The terms of a text, as the search engine sees them."""
    return (match[0].lower() for match in _SUBWORD.finditer(text))


@lru_cache(maxsize=1 << 16)
def parts(name: str) -> tuple[str, ...]:
    """The words that an identifier is made of: three letters or more, lower case, each once."""
    return tuple(dict.fromkeys(part.lower() for part in _PART.findall(name) if len(part) > 2))
