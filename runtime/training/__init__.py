"""Source files in, a small StarCoder2 checkpoint out: tokenizer, fill-in-the-middle examples, optimisation."""
