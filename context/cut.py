"""Lines of a file to pieces: parses them in their context, ends leaves where statements do, opens large definitions.

Reads no more than it is given. The parser's rows end at `\\n` alone; where a lone `\\r` ends lines, rows are no lines.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import tree_sitter

from .document import encode, parse
from .languages import SCOPE_KINDS, Language
from .lines import count_lines
from .pieces import INDENTED, Branch, Context, Leaf, Piece, moved
from .source import Source
from .symbols import Tag
from .tags import extract_nodes

LEAF_ROWS = 40  # a leaf grows to twice as many before it is cut
BRANCH_ROWS = 120  # a shorter definition is part of a leaf

# Nodes whose children are members, one after another, and what may stand in the first row of some beside them.
LISTS = frozenset(
    "block class_body interface_body annotation_type_body object_type declaration_list field_declaration_list"
    " statement_block template_body body_statement preproc_ifdef preproc_if".split()
)
CONDITIONS = frozenset("identifier binary_expression unary_expression preproc_defined call_expression".split())
UNCUT = frozenset({"php"})  # families whose code starts behind a mark in the first line
MAX_STATEMENTS = 1 << 15  # side by side; more come from brackets without end, 300,000 of which take 0.5 s to look at
NO_STATEMENT = b" \t\r\n\f;,"


def read(context: Context, text: str, seconds: float) -> tuple[Piece, ...] | None:
    """The pieces of some whole lines; None where they cannot be parsed in time."""
    run = _run(context, text, time.thread_time() + seconds)
    if run is None:
        return None
    whole = _Span(run.start_row, run.stop_row, run.members)
    if run.stop_row - run.start_row <= 2 * LEAF_ROWS or context.language.family in UNCUT:
        return (_leaf(run, whole),)
    return _pieces(replace(run, deadline=time.thread_time() + seconds), whole)


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows, and the members that start in them."""

    start: int
    stop: int
    members: Sequence[tree_sitter.Node]


@dataclass(frozen=True, slots=True)
class _Run:
    """Some whole lines, parsed in their context."""

    context: Context
    deadline: float
    encoded: bytes
    source: Source
    tree: tree_sitter.Tree
    rows: Sequence[str]  # with those of the context
    start_row: int
    stop_row: int
    members: Sequence[tree_sitter.Node]  # that start in the lines
    is_sound: bool
    rows_are_lines: bool

    def text(self, start: int, stop: int) -> str:
        return "".join(self.rows[start:stop])

    def line(self, row: int) -> int:
        return row if self.rows_are_lines else count_lines("".join(self.rows[:row]))

    def starts_a_row(self, node: tree_sitter.Node) -> bool:
        start = self.encoded.rfind(b"\n", 0, node.start_byte) + 1
        return not self.encoded[start : node.start_byte].strip()


def _run(context: Context, text: str, deadline: float) -> _Run | None:
    head, end = "".join(context.heads), "".join(context.ends)
    whole = head + text + end
    encoded = encode(whole)
    tree = parse(context.language, encoded, deadline)
    if tree is None or tree.root_node.child_count > MAX_STATEMENTS:
        return None
    first = len(encode(head))
    stop = first + len(encode(text))
    rows = [f"{row}\n" for row in whole.split("\n")]
    rows[-1] = rows[-1][:-1]
    members = _members(context, tree.root_node, first, stop)
    rest = encoded[members[-1].end_byte if members else first : stop]
    start_row = head.count("\n")
    return _Run(
        context,
        deadline,
        encoded,
        Source.of(whole),
        tree,
        rows,
        start_row,
        stop_row=start_row + text.count("\n") + (not text.endswith("\n")),
        members=members,
        is_sound=not (tree.root_node.has_error or rest.strip(NO_STATEMENT) or _opens_a_comment(context, text)),
        rows_are_lines=whole.count("\r") == whole.count("\r\n"),
    )


def _opens_a_comment(context: Context, text: str) -> bool:
    # Without an end that is an error, but in a script it may pass for a regular expression.
    last = text.rfind("/*") if context.language.family == "script" else -1
    return last >= 0 and text.find("*/", last + 2) < 0


def _members(context: Context, root: tree_sitter.Node, first: int, stop: int) -> Sequence[tree_sitter.Node]:
    """What stands side by side in the bytes of some lines."""
    holder = root
    for _ in context.heads:
        around = next((child for child in holder.children if child.start_byte < first < child.end_byte), None)
        inside = _list(context.language, around) if around is not None else None
        if inside is None:
            return ()
        holder = inside
    members = [child for child in holder.children if first <= child.start_byte < stop]
    if context.heads and members and not members[-1].is_named and members[-1].end_byte == holder.end_byte:
        del members[-1]  # an end that should come behind the lines
    return members


def _list(language: Language, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The list of a definition's members: below what only passes on to it."""
    while node.type not in LISTS:
        below = [child for child in node.children if child.type in LISTS or _passes(language, child.type)]
        if not below or not _passes(language, node.type):
            return None
        node = max(below, key=_height)
        behind = node.next_named_sibling
        if behind is not None and not behind.is_extra:  # which would be part of the definition's end
            return None
    return node


def _passes(language: Language, node_type: str) -> bool:
    """Whether the members below a node are those of a definition: other blocks of statements are not opened."""
    kind = language.definitions.get(node_type)
    if kind is not None:
        return kind in SCOPE_KINDS
    if node_type in language.wrappers:
        return True
    return node_type in language.containers and not node_type.endswith(("_statement", "_clause"))


def _pieces(run: _Run, whole: _Span) -> tuple[Piece, ...]:
    found: list[Piece] = []
    for span, opened in _cut(run, whole):
        branch = _branch(run, span, opened) if opened is not None else None
        found.append(branch if branch is not None else _leaf_within(run, span))
    return tuple(found)


def _cut(run: _Run, whole: _Span) -> Iterator[tuple[_Span, _Span | None]]:
    """Spans one after another, each with its members' where it is a definition to be opened."""
    start, taken, first = whole.start, whole.start - 1, 0  # `taken`: the last row that a member reaches
    # Comments at the end stay with the last statement, whose they may be.
    last_statement = max((number for number, member in enumerate(whole.members) if not member.is_extra), default=0)
    for number, member in enumerate(whole.members):
        row, last = member.start_point.row, _last_row(member)
        if row > taken and run.starts_a_row(member):
            behind = whole.members[number + 1].start_point.row if number + 1 < len(whole.members) else whole.stop
            opened = _opened(run, member) if behind > last and _height(member) >= BRANCH_ROWS else None
            is_long = 0 < number <= last_statement and row - start >= LEAF_ROWS
            may_part = is_long and _part(run, whole.members, number)
            if row > start and (opened is not None or may_part):
                yield _Span(start, row, whole.members[first:number]), None
                start, first = row, number
            if opened is not None:
                yield _Span(row, last + 1, [member]), opened
                start, first = last + 1, number + 1
        taken = max(taken, last)
    if start < whole.stop:
        yield _Span(start, whole.stop, whole.members[first:]), None


def _part(run: _Run, members: Sequence[tree_sitter.Node], number: int) -> bool:
    """Whether a leaf may end before a member: not between a definition and what is said of it above."""
    previous, member = members[number - 1], members[number]
    column = member.start_point.column
    if previous.is_error or member.is_error or column != previous.start_point.column:
        return False
    if run.context.language.family in INDENTED and column != (
        members[0].start_point.column if run.context.heads else 0
    ):
        return False
    is_apart = not run.rows[member.start_point.row - 1].strip()
    return is_apart or (previous.type == member.type and not member.is_extra)


def _opened(run: _Run, node: tree_sitter.Node) -> _Span | None:
    """A definition's members; None where they do not have rows of their own."""
    inside = _list(run.context.language, node)
    if inside is None or not run.rows_are_lines:
        return None
    row, members = node.start_point.row, list(inside.children)
    if members and not members[0].is_named:
        del members[0]
    has_condition = False
    while members and members[0].start_point.row == row and (members[0].is_extra or members[0].type in CONDITIONS):
        has_condition |= not members[0].is_extra
        del members[0]
    if inside.type.startswith("preproc") and not has_condition:
        return None
    closer = members.pop() if members and not members[-1].is_named else None
    if members and run.context.language.family == "python" and _is_docstring(members[0]):
        del members[0]  # which is part of the header
    if len(members) < 2 or members[0].start_point.row == row or not run.starts_a_row(members[0]):
        return None
    stop = _last_row(members[-1]) + 1
    if closer is not None:
        if closer.start_point.row < stop or not run.starts_a_row(closer):
            return None
        stop = closer.start_point.row
    return _Span(members[0].start_point.row, stop, members)


def _is_docstring(node: tree_sitter.Node) -> bool:
    return node.type == "expression_statement" and [child.type for child in node.named_children] == ["string"]


def _leaf_within(run: _Run, span: _Span) -> Leaf:
    """A leaf as it is read when something in it changes: inside of a branch, by itself."""
    if not run.context.heads or (span.start, span.stop) == (run.start_row, run.stop_row):
        return _leaf(run, span)
    text = run.text(span.start, span.stop)
    alone = _run(run.context, text, run.deadline)
    if alone is None:
        return Leaf(text, count_lines(text), is_sound=False)
    return _leaf(alone, _Span(alone.start_row, alone.stop_row, alone.members))


def _leaf(run: _Run, span: _Span) -> Leaf:
    first, last = run.line(span.start), run.line(span.stop)
    nodes = run.tree.root_node.children if run.context.heads else span.members
    tags, imports = extract_nodes(run.context.language, run.source, nodes)
    inside = [tag for tag in tags if first <= tag.start_line < last]
    blank = last - run.line(_last_row(span.members[-1]) + 1 if span.members else span.start)
    text = run.text(span.start, span.stop)
    return Leaf(text, last - first, moved(inside, -first), tuple(imports), max(blank, 0), run.is_sound)


def _branch(run: _Run, span: _Span, opened: _Span) -> Branch | None:
    """None where a name of the definition does not reach from its head to its end, and where the time is over."""
    head, end = run.text(span.start, opened.start), run.text(opened.stop, span.stop)
    inner = replace(run, context=run.context.inside(head, end), start_row=-1)
    pieces = _pieces(inner, opened)
    tags = _own_tags(inner.context, pieces[0].text, run.deadline)
    if tags is None or time.thread_time() > run.deadline:
        return None
    return Branch(run.text(span.start, span.stop), span.stop - span.start, head, end, pieces, tags)


def _own_tags(context: Context, text: str, deadline: float) -> tuple[Tag, ...] | None:
    """What the innermost head of a context defines, with a branch's way to count lines."""
    run = _run(context, text, deadline)
    if run is None:
        return None
    start, stop = run.start_row - context.heads[-1].count("\n"), run.stop_row + count_lines(context.ends[0])
    if not context.ends[0]:
        stop = _last_row(run.members[-1]) + 1 if run.members else run.stop_row
    tags, _ = extract_nodes(context.language, run.source, run.tree.root_node.children)
    own = [tag for tag in tags if start <= tag.start_line < run.start_row]
    if any(tag.end_line <= run.start_row for tag in own):
        return None
    return tuple(replace(tag, start_line=tag.start_line - start, end_line=tag.end_line - stop) for tag in own)


def _last_row(node: tree_sitter.Node) -> int:
    """The row of a node's last byte, which may be a row's end."""
    row, column = node.end_point
    return row - 1 if column == 0 and node.end_byte > node.start_byte else row


def _height(node: tree_sitter.Node) -> int:
    return _last_row(node) - node.start_point.row + 1
