"""Reads a path's text into steps, without a model."""
