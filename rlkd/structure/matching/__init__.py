"""Compares a student's path with its teachers': alignment, merged steps, costs, score."""
