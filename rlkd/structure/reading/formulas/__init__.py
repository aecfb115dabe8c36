"""Reads formulas: equations and expressions in LaTeX, and algebra in plain text, which is read as the same in LaTeX."""
