"""Token ids in, token ids out: a model's weights, its caches and the process that serves them."""
