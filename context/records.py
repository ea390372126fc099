"""Entries in columns: many equal values as a few long msgpack lists, which decode many times faster than one by one.

What a value looks like is read from its dataclass, so a new field needs nothing here. Short strings, which repeat, are
numbered in one table a record and interned when they come back: equal words share their memory. Knows no files.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import chain, islice, repeat
from sys import intern
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack

T = TypeVar("T")
SHORT = 64  # code points; a longer string is seldom met twice

Table = dict[str, int]


class RecordError(Exception):
    """Bytes that are no record of the wanted kind."""


@dataclass(frozen=True, slots=True)
class _Column:
    """How values of one type become msgpack, and come back."""

    shred: Callable[[Sequence[Any], Table], Any]
    assemble: Callable[[Any, Sequence[str]], Sequence[Any]]


def encode(kind: type[T], values: Sequence[T]) -> bytes:
    """A record of values of one dataclass."""
    table: Table = {}
    schema: Any = kind
    column = _column(schema).shred(values, table)
    packed: bytes = msgpack.packb(["\n".join(table), column])
    return packed


def decode(kind: type[T], record: bytes) -> Sequence[T]:
    """The values of a record. Raises RecordError."""
    schema: Any = kind
    try:
        words, column = msgpack.unpackb(record, use_list=True, strict_map_key=False)
        values: Sequence[T] = _column(schema).assemble(column, [*map(intern, words.split("\n"))])
    except (ValueError, TypeError, LookupError, AttributeError, msgpack.exceptions.UnpackException):
        raise RecordError("not a record of this kind") from None
    return values


def shape(kind: Any) -> str:
    """A text that changes whenever a type does, down to its last field."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return f"{kind}({','.join(f'{name}:{shape(hint)}' for name, hint in hints.items())})"
    arguments = get_args(kind)
    return f"{get_origin(kind)}[{','.join(map(shape, arguments))}]" if arguments else str(kind)


@cache
def _column(kind: Any) -> _Column:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_column(kind)
    if origin is tuple and arguments[-1:] == (...,):
        return _sequence_column(_column(arguments[0]), tuple)
    if origin is frozenset:
        return _sequence_column(_column(arguments[0]), frozenset)
    if origin is tuple:
        return _product_column([_column(each) for each in arguments])
    if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
        return _optional_column(_column(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_column(_product_column([_column(each) for each in arguments]))
    if kind is str or origin is Literal:
        return _Column(_shred_strings, _assemble_strings)
    if kind in (int, float, bool, bytes):
        return _Column(lambda values, _: [*values], lambda column, _: column)
    raise TypeError(f"no column for {kind}")


def _shred_strings(values: Sequence[str], table: Table) -> Sequence[int] | Sequence[str]:
    if any(len(value) > SHORT or "\n" in value for value in values):
        return [*values]
    return [table.setdefault(value, len(table)) for value in values]


def _assemble_strings(column: Any, words: Sequence[str]) -> Sequence[str]:
    return column if column and isinstance(column[0], str) else [*map(words.__getitem__, column)]


def _dataclass_column(kind: type) -> _Column:
    names = [field.name for field in fields(kind)]
    hints = get_type_hints(kind)
    columns = [_column(hints[name]) for name in names]

    def shred(values: Sequence[Any], table: Table) -> Any:
        return [
            column.shred([getattr(value, name) for value in values], table)
            for name, column in zip(names, columns, strict=True)
        ]

    def assemble(shredded: Any, words: Sequence[str]) -> Sequence[Any]:
        return build(*_assembled(columns, shredded, words))

    def build(*parts: Sequence[Any]) -> Sequence[Any]:
        # Slot by slot, many values at a call: a frozen dataclass's own constructor takes twice as long.
        if hasattr(kind, "__post_init__") or "__slots__" not in vars(kind):
            return [*map(kind, *parts)]
        values: list[Any] = [*map(object.__new__, repeat(kind, len(parts[0])))]
        for name, part in zip(names, parts, strict=True):
            deque(map(getattr(kind, name).__set__, values, part), maxlen=0)
        return values

    return _Column(shred, assemble)


def _product_column(columns: Sequence[_Column]) -> _Column:
    def shred(values: Sequence[tuple[Any, ...]], table: Table) -> Any:
        parts = zip(*values, strict=True) if values else ((),) * len(columns)
        return [column.shred(part, table) for column, part in zip(columns, parts, strict=True)]

    def assemble(shredded: Any, words: Sequence[str]) -> Sequence[Any]:
        return [*zip(*_assembled(columns, shredded, words), strict=True)]

    return _Column(shred, assemble)


def _sequence_column(inner: _Column, build: Callable[[Any], Any]) -> _Column:
    def shred(values: Sequence[Any], table: Table) -> Any:
        return [[*map(len, values)], inner.shred([*chain.from_iterable(values)], table)]

    def assemble(shredded: Any, words: Sequence[str]) -> Sequence[Any]:
        lengths, flat = shredded
        items = iter(inner.assemble(flat, words))
        return [build(islice(items, length)) for length in lengths]

    return _Column(shred, assemble)


def _mapping_column(pair: _Column) -> _Column:
    pairs = _sequence_column(pair, dict)
    return _Column(lambda values, table: pairs.shred([tuple(value.items()) for value in values], table), pairs.assemble)


def _optional_column(inner: _Column) -> _Column:
    def shred(values: Sequence[Any], table: Table) -> Any:
        present = [value is not None for value in values]
        return [present, inner.shred([value for value in values if value is not None], table)]

    def assemble(shredded: Any, words: Sequence[str]) -> Sequence[Any]:
        present, flat = shredded
        values = iter(inner.assemble(flat, words))
        return [next(values) if here else None for here in present]

    return _Column(shred, assemble)


def _assembled(columns: Sequence[_Column], shredded: Any, words: Sequence[str]) -> list[Sequence[Any]]:
    """One sequence of values for each column, all of one length. Raises ValueError."""
    parts = [column.assemble(one, words) for column, one in zip(columns, shredded, strict=True)]
    if len({len(part) for part in parts}) > 1:
        raise ValueError("columns of different lengths")
    return parts
