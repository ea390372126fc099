"""Tensors in, tensors out: the operations a StarCoder2 step is made of."""
