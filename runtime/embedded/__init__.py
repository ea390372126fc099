"""The built-in model: its weights, tokenizer, data sheet and the recipe that made them. Data only."""
