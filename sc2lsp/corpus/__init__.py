"""Training text: an explicit list of packages and folders -> filtered, redacted, de-duplicated shards and a manifest.

Knows nothing of tokens or models. What it needs beyond the core comes with `sc2lsp[train]`.
"""


class CorpusError(Exception):
    """A recipe cannot be followed, or a corpus not be read; the message says what to mend."""
