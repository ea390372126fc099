"""A code-review bot: a diff in, completions asked of `sc2lsp complete --batch` at its added lines, findings out.

It reads code and never runs any of it, nor anything that is written in it.
"""
