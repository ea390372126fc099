"""`sc2lsp eval`: how well a model and a context complete the code of one repository."""
