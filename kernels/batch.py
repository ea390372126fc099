"""Which rows of a step belong to which sequence, and where its keys and values lie.

Of the shapes that every attention implementation takes; knows nothing of how pages are given out.
"""

from dataclasses import dataclass

from torch import Tensor

PAGE = 16  # tokens of a page of the cache
MOST_NODES = 64  # rows that a draft tree may have: the bits of its masks


@dataclass(frozen=True, slots=True, eq=False)
class PagedBatch:
    """The query rows of several sequences one behind another, and the pages of their keys.

    A sequence's last row stands in its last slot. Sequences without rows and rows behind `starts[-1]` may pad a step to
    the shape of a CUDA graph: nothing is computed for them, and what their output holds is undefined.
    """

    starts: Tensor  # [sequences + 1] int32: a sequence's first row
    lengths: Tensor  # [sequences] int32: keys in the cache, those of this step's rows included
    block_table: Tensor  # [sequences, max_pages] int32: the pages of a sequence in order; those out of sight unread
    max_rows: int  # no sequence has more rows; with the tensors' shapes all that the launch depends on
    # [rows] int64, in a step that verifies draft trees of at most 64 nodes: bit j says that the sequence's j-th row is
    # the row itself or one of its ancestors. A row's position is its number of ancestors behind the first row's.
    tree: Tensor | None = None
