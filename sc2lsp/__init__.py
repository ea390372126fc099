"""sc2lsp: inline code completion with StarCoder2, as a language server and on the command line."""

from importlib.metadata import version

__version__ = version("sc2lsp")
