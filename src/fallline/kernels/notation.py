"""How the field writes things: variables, functions and relations, for pages (LaTeX) and for a terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Style = Literal["latex", "text"]


@dataclass(frozen=True)
class Words:
    """What differs between styles: the words of functions, with places for their operands, and of relations."""

    functions: dict[str, str]
    relations: dict[str, str]
    times: str


_GREEK = {
    "p": "theta", "theta": "vartheta", "lr": "eta", "eps": "epsilon", "weight_decay": "lambda", "momentum": "mu",
    "rho_inf": "rho_infty", "mu_product": "M", "mu_next": "mu_next", "strength": "s", "dampening": "tau",
    "delta": "delta", "size": "Delta", "momentum_decay": "psi", "#numel": "n",
}  # fmt: skip

_LETTERS = {
    "theta": "θ", "vartheta": "ϑ", "eta": "η", "epsilon": "ε", "lambda": "λ", "mu": "μ", "beta": "β", "alpha": "α",
    "gamma": "γ", "rho": "ρ", "delta": "δ", "tau": "τ", "Delta": "Δ", "psi": "ψ", "sigma": "σ", "kappa": "κ",
}  # fmt: skip

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

_CASES = r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}"

LATEX = Words(
    {
        "sqrt": r"\sqrt{{{0}}}", "abs": r"\left|{0}\right|", "sign": r"\operatorname{{sign}}\left({0}\right)",
        "exp": r"\exp\left({0}\right)", "log": r"\log\left({0}\right)", "tanh": r"\tanh\left({0}\right)",
        "cos": r"\cos\left({0}\right)", "not": r"\neg {0}", "stored": r"\operatorname{{stored}}\left({0}\right)",
        "maximum": r"\max\left({0}, {1}\right)", "minimum": r"\min\left({0}, {1}\right)",
        "where": _CASES, "when": _CASES,
        "mod": r"\left({0} \bmod {1}\right)", "floordiv": r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor",
        "norm": r"\left\lVert {0} \right\rVert", "sum": r"\operatorname{{sum}}\left({0}\right)",
        "mean": r"\operatorname{{mean}}\left({0}\right)", "max": r"\operatorname{{max}}\left({0}\right)",
        "min": r"\operatorname{{min}}\left({0}\right)", "total": r"\sum_{{\text{{all}}}}\left({0}\right)",
        "transposed": r"{{{0}}}^{{\top}}", "part": r"{{{0}}}_{{{1}}}",
        "normal": r"\mathcal{{N}}\left(0, 1\right)", "uniform": r"\mathcal{{U}}\left(0, 1\right)",
        "rademacher": r"\operatorname{{Rademacher}}",
    },
    {"gt": ">", "ge": r"\ge", "lt": "<", "le": r"\le", "eq": "=", "ne": r"\ne", "and": r"\wedge", "or": r"\vee"},
    r" \, ",
)  # fmt: skip
TEXT = Words(
    {
        "sqrt": "√({0})", "abs": "|{0}|", "sign": "sign({0})", "exp": "exp({0})", "log": "log({0})",
        "tanh": "tanh({0})", "cos": "cos({0})", "not": "not {0}", "stored": "stored({0})",
        "maximum": "max({0}, {1})", "minimum": "min({0}, {1})",
        "where": "({1} if {0} else {2})", "when": "({1} if {0} else {2})",
        "mod": "({0} mod {1})", "floordiv": "⌊{0} / {1}⌋", "norm": "‖{0}‖", "sum": "sum({0})", "mean": "mean({0})",
        "max": "max({0})", "min": "min({0})", "total": "Σ_all({0})", "transposed": "{0}ᵀ", "part": "{0}[{1}]",
        "normal": "N(0, 1)", "uniform": "U(0, 1)", "rademacher": "Rademacher",
    },
    {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "eq": "=", "ne": "≠", "and": "and", "or": "or"},
    " · ",
)  # fmt: skip

OVER = {"rows": "row", "columns": "column", "matrix": "matrix"}
"""What a reduction is made over, where it is not a whole tensor, by the extent of its result."""


def over(text: str, extent: str, style: Style) -> str:
    """A reduction with what it is made over as its index."""
    if extent not in OVER:
        return text
    return rf"{{{text}}}_{{\text{{{OVER[extent]}}}}}" if style == "latex" else f"{text}_{OVER[extent]}"


def function(name: str, operands: list[str], style: Style) -> str:
    """A function without a sign of its own, by its name."""
    inside = ", ".join(operands)
    if style == "latex":
        return rf"\operatorname{{{name.replace('_', ' ').strip()}}}\left({inside}\right)"
    return f"{name}({inside})"


def literal(value: float, style: Style) -> str:
    """A number as short as it can be read back from; powers of ten as LaTeX writes them."""
    text = f"{value:g}" if float(f"{value:g}") == value or value != value else repr(value)
    mantissa, e, exponent = text.partition("e")
    if style == "text" or not e:
        return text.replace("inf", r"\infty") if style == "latex" else text
    factor = "" if mantissa == "1" else rf"{mantissa} \cdot "
    return rf"{factor}10^{{{int(exponent)}}}"


def symbol(name: str, style: Style = "text", time: str = "") -> str:
    """A variable or hyper-parameter as the equations write it: `lr` is η, `m_hat` at time t is m̂_t."""
    name = _GREEK.get(name, name).replace("#", "")
    accent = next((a for a in ("hat", "tilde") if name.endswith(f"_{a}")), "")
    name = _GREEK.get(name.removesuffix(f"_{accent}"), name.removesuffix(f"_{accent}")) if accent else name
    letter, _, index = name.partition("_")
    if len(letter) > 1 and letter not in _LETTERS and not re.fullmatch(r"[a-z]+\d+", letter):
        letter, index = name, ""
    digits = re.fullmatch(r"([a-z]+)(\d+)", letter)
    if digits:
        letter, index = digits[1], digits[2]
    return (_latex if style == "latex" else _text)(letter, index, accent, time)


def _latex(letter: str, index: str, accent: str, time: str) -> str:
    body = rf"\{letter}" if letter in _LETTERS else _upright(letter)
    body = rf"\{accent}{{{body}}}" if accent else body
    index = r"\infty" if index == "infty" else _upright(index)
    subscript = ",".join(part for part in (index, time) if part)
    return f"{body}_{{{subscript}}}" if subscript else body


def _upright(word: str) -> str:
    """A word stands upright, a single letter is a variable."""
    return rf"\text{{{word.replace('_', ' ')}}}" if len(word) > 1 else word


def _text(letter: str, index: str, accent: str, time: str) -> str:
    body = _LETTERS.get(letter, letter) + {"hat": "\u0302", "tilde": "\u0303", "": ""}[accent]
    if index.isdigit():
        body, index = body + index.translate(_SUBSCRIPTS), ""
    subscript = ",".join(part for part in (index.replace("infty", "∞"), time) if part)
    if not subscript:
        return body
    return f"{body}_{subscript}" if len(subscript) == 1 else f"{body}_{{{subscript}}}"
