"""Who answers: our own runtime, and other inference servers over HTTP. `sc2lsp.backend` chooses."""
