"""Weights files of models: what a name stands for, whether tensors fit, and saving."""
