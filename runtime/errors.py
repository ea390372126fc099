"""The one error of a checkpoint: it cannot be used, and the message says what to do about it."""


class ModelError(Exception):
    """A checkpoint is unusable: missing, incomplete, of another architecture, or unsafe to open."""
