"""A small harbour: what the playground shows, and free to be changed there."""
