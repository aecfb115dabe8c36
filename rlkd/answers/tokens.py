"""The tokens of formulas: numbers, unknowns, functions, signs; Unicode, LaTeX and plain text alike."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![A-Za-z\d]))?)|\\(?P<command>[A-Za-z]+)|(?P<word>[A-Za-z]+)"
    r"|(?P<sign>\*\*|\\[{}|]|[-+*/^_!'|()\[\]{}%°⌊⌋⌈⌉√π∞±∓Α-ω]))"
)
_REPEATING = re.compile(
    r"(\d*)\.(\d*)(?:\\(?:overline|bar)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\)|\\dot\s*(?:\{\s*(\d)\s*\}|(\d))(?:(\d*)\\dot\s*(?:\{\s*(\d)\s*\}|(\d)))?(?![\d\\]))"
)
_DOTS = re.compile(r"(\d*\.\d{2,40})\s*(?:\\l?dots|\\cdots|\.\.\.)")
_GREEK = frozenset(
    re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon phi varphi "
        "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar",
    )
)
_LETTERS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "μ": "mu", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Δ": "Delta", "Σ": "Sigma", "Φ": "Phi", "Ω": "Omega", "Γ": "Gamma", "Λ": "Lambda",
}  # fmt: skip
_FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp sqrt abs min max gcd lcm",
    )
)
_ALIASES = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "cosec": "csc",
    "arctg": "arctan",
    "tg": "tan",
}
_DECORATED = {
    "bar",
    "overline",
    "vec",
    "hat",
    "tilde",
    "dot",
    "widehat",
    "overrightarrow",
    "mathbf",
    "mathcal",
    "boldsymbol",
}
_FLOORS = {"lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉"}
_TIMES = {"cdot", "times", "ast", "bullet"}
_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a i an as at be by do go he if in is it me my no of on or so to up us we the and any are bad bag bed big box boy bus but can car cat cow "
        "cup day did die dog dry due ear eat egg end eye far few fly for get god got had has hat her hen him his hit hot how ice its job key kid "
        "law let lot low man may men mom dad son six ten two one new not now odd off oil old our out own pay pen pet pie pig put ran rat red row "
        "run sad saw say sea see set she sit sky sun tax tea the tie too top toy try use van war was way web wet who why win yes yet you zoo "
        "all act add age ago aid aim air arm art ask bar bat bay bee bet bit buy cap cut cry fan fat fee fit fix fun gas gun guy ham ill jam leg lie "
        "lip map mix mud nap net nut pan per raw sum tip won even none both left true wood fish thus then also just only cats dogs blue pink north east west south odd",
    )
)
"""Short words, which no product of unknowns is taken for."""


class Unreadable(ValueError):
    """The text is no formula, or one of a kind that the grammar does not know."""


def letters_are_formula(word: str) -> bool:
    """Whether a run of letters by itself is a product of unknowns (``mgh``, ``Rr``), not a word (``red``, ``Ben``)."""
    if len(word) > 4 or word.lower() in _WORDS:
        return False
    if len(word) > 2 and word[1:].islower():
        vowels = sum(letter in "aeiou" for letter in word.lower())
        return word.islower() and (vowels == 0 or (len(word) == 3 and vowels == 1 and word[1] not in "aeiou"))
    return True


def tokens_of(text: str) -> list[tuple[str, Any]]:
    """Splits a formula into ``(kind, value)``.

    Raises:
        Unreadable: Some sign or word belongs to no formula that is known here.
    """
    tokens: list[tuple[str, Any]] = []
    position = 0
    alone = re.fullmatch(r"[A-Za-z]+", text.strip())
    if alone and not (letters_are_formula(alone[0]) or len(alone[0]) == 1 or _word(alone[0])):
        raise Unreadable("a word")
    text = text.rstrip()
    while position < len(text):
        special = _special_number(text, position)
        if special:
            token, position = special
            tokens.append(token)
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"cannot read {text[position : position + 8]!r}")
        position = match.end()
        if match["number"]:
            tokens.append(
                ("number", (Fraction(match["number"]), match["number"] if match["number"].isdigit() else ""))
            )
        elif match["command"]:
            tokens += _command(match["command"])
        elif match["word"]:
            tokens += _letters(match["word"])
        else:
            tokens.append(_sign(match["sign"]))
    return tokens


def _special_number(text: str, position: int) -> tuple[tuple[str, Any], int] | None:
    """A decimal that repeats or goes on."""
    while position < len(text) and text[position] == " ":
        position += 1
    if position >= len(text) or text[position] not in "0123456789.":
        return None
    if position and (text[position - 1].isdigit() or text[position - 1] == "."):
        return None
    match = _REPEATING.match(text, position)
    if match:
        whole, fixed = match[1] or "0", match[2]
        period = "".join(group for group in match.groups()[2:] if group)  # from dot to dot: 0.\dot{2}\dot{7}
        value = Fraction(int(whole + fixed or "0"), 10 ** len(fixed))
        value += Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
        return ("number", (value, "")), match.end()
    match = _DOTS.match(text, position)
    return (("dots", match[1]), match.end()) if match else None


def _word(word: str) -> list[tuple[str, Any]] | None:
    """What a run of letters names by itself."""
    name = _ALIASES.get(word, word)
    if name in _FUNCTIONS:
        return [("function", name)]
    if word in ("pi", "Pi") or word in _GREEK:
        return [("symbol", "pi" if word == "pi" else word)]
    return [("symbol", "infinity")] if word.lower() in ("infinity", "inf") else None


def _letters(word: str) -> list[tuple[str, Any]]:
    """A run of letters: a name that is known, a function and its letter (``sinx``), or a product of unknowns."""
    known = _word(word)
    if known:
        return known
    for name in ("sqrt", "sin", "cos", "tan", "ln", "log"):
        if word.startswith(name) and len(word) == len(name) + 1:
            return [("function", name), ("symbol", word[-1])]
    if len(word) > 4 or (len(word) > 1 and word.lower() in _WORDS):
        raise Unreadable(f"{word!r} is a word")
    return [("symbol", letter) for letter in word]


def _command(name: str) -> list[tuple[str, Any]]:
    name = _ALIASES.get(name, name)
    if name in _TIMES:
        return [("sign", "*")]
    if name == "div":
        return [("sign", "/")]
    if name in ("frac", "binom"):
        return [(name, name)]
    if name in _FUNCTIONS:
        return [("function", name)]
    if name == "pi" or name in _GREEK:
        return [("symbol", {"varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta"}.get(name, name))]
    if name == "infty":
        return [("symbol", "infinity")]
    if name in _FLOORS:
        return [("sign", _FLOORS[name])]
    if name in ("lvert", "rvert", "vert", "mid"):
        return [("sign", "|")]
    if name in _DECORATED:
        return [("decorated", name)]
    raise Unreadable(f"\\{name}")


def _sign(sign: str) -> tuple[str, Any]:
    if sign == "**":
        return ("sign", "^")
    if sign == "π":
        return ("symbol", "pi")
    if sign == "∞":
        return ("symbol", "infinity")
    if sign in _LETTERS:
        return ("symbol", _LETTERS[sign])
    if sign in ("±", "∓") or sign in ("\\{", "\\}", "\\|") or ("Α" <= sign <= "ω"):
        raise Unreadable(f"cannot read {sign!r}")
    return ("sign", sign)
