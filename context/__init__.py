"""Workspace text in, prompt out: documents, their tags, the index, retrieval and packing."""
