"""Finds the steps of a text, and the calculations that they make, without a model."""
