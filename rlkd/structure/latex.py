"""placeholder"""
from __future__ import annotations
from rlkd.structure.calculations import Calc, find_calculations
def has_latex(text: str) -> bool:
    return "\\" in text
def find_latex_calculations(text: str) -> list[Calc]:
    return find_calculations(text)
