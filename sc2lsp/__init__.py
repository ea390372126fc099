"""sc2lsp: inline code completion with StarCoder2, as a language server and on the command line."""

__version__ = "0.1.0"
