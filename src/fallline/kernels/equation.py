"""The equations of a rule, printed from its plan: one line for each variable that the author named.

`style="latex"` is for pages, `style="text"` for a terminal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..rules.rule import Rule
from .plan import Operation, Plan, UnknownOperation, Value, plan

Style = Literal["latex", "text"]

_OR, _AND, _NOT, _RELATION, _SUM, _PRODUCT, _POWER, _ATOM = range(8)
"""How tightly an expression binds, loosest first."""


@dataclass(frozen=True)
class _Words:
    """What differs between styles: the words of functions, and the names of variables."""

    functions: dict[str, str]
    relations: dict[str, str]
    times: str


_GREEK = {
    "p": "theta", "theta": "vartheta", "lr": "eta", "eps": "epsilon", "weight_decay": "lambda", "momentum": "mu",
    "rho_inf": "rho_infty", "mu_product": "M", "mu_next": "mu_next", "strength": "s", "dampening": "tau",
    "delta": "delta", "size": "Delta", "momentum_decay": "psi",
}  # fmt: skip

_LETTERS = {
    "theta": "θ", "vartheta": "ϑ", "eta": "η", "epsilon": "ε", "lambda": "λ", "mu": "μ", "beta": "β", "alpha": "α",
    "rho": "ρ", "delta": "δ", "tau": "τ", "Delta": "Δ",
    "psi": "ψ",
}  # fmt: skip

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

_LATEX = _Words(
    {
        "sqrt": r"\sqrt{{{0}}}", "abs": r"\left|{0}\right|", "sign": r"\operatorname{{sign}}\left({0}\right)",
        "exp": r"\exp\left({0}\right)",
        "log": r"\log\left({0}\right)", "tanh": r"\tanh\left({0}\right)",
        "cos": r"\cos\left({0}\right)", "maximum": r"\max\left({0}, {1}\right)",
        "minimum": r"\min\left({0}, {1}\right)",
        "where": r"\left({1} \text{{ if }} {0} \text{{ else }} {2}\right)", "not": r"\neg {0}",
    },
    {"gt": ">", "ge": r"\ge", "lt": "<", "le": r"\le", "eq": "=", "ne": r"\ne", "and": r"\wedge", "or": r"\vee"},
    r" \, ",
)  # fmt: skip
_TEXT = _Words(
    {
        "sqrt": "√({0})", "abs": "|{0}|", "sign": "sign({0})", "exp": "exp({0})", "log": "log({0})",
        "tanh": "tanh({0})", "cos": "cos({0})", "maximum": "max({0}, {1})", "minimum": "min({0}, {1})",
        "where": "({1} if {0} else {2})", "not": "not {0}",
    },
    {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "eq": "=", "ne": "≠", "and": "and", "or": "or"},
    " · ",
)  # fmt: skip


def equation(rule: Rule, style: Style = "latex") -> list[str]:
    """The rule's equations, a line each, the new parameter last; its text instead, outside the vocabulary."""
    try:
        sheet = plan(rule)
    except UnknownOperation:
        lines = rule.source.strip().splitlines()
        return [rf"\texttt{{{_escaped(line)}}}" for line in lines] if style == "latex" else lines
    return _Printer(sheet, style).lines()


def _escaped(line: str) -> str:
    return re.sub(r"([_{}#%&$^~\\])", r"\\\1", line)


class _Printer:
    def __init__(self, sheet: Plan, style: Style) -> None:
        self.sheet = sheet
        self.style: Style = style
        self.latex = style == "latex"
        self.words = _LATEX if self.latex else _TEXT
        self.operations = sheet.by_name()
        self.new = dict(zip(("p", *sheet.arrays[2:], *sheet.carried), sheet.outputs, strict=True))
        self.state_of = {value: name for name, value in self.new.items() if name != "p"}
        self.shown = {op.name: op for op in sheet.operations if op.label or op.name in self.state_of}
        self.shown.pop(str(self.new["p"]), None)

    def lines(self) -> list[str]:
        lines = [f"{self._named(op)} = {self._body(op)[0]}" for op in self.shown.values()]
        p = self.new["p"]
        body = self._body(self.operations[p])[0] if p in self.operations else self._operand(p)[0]
        lines.append(f"{symbol('p', self.style, 't')} = {body}")
        # a state that is given an input, or what another state is given too, has no operation of its own
        for name, value in self.new.items():
            if name != "p" and (value not in self.shown or self.state_of[value] != name):
                given = symbol("p", self.style, "t") if value == p else self._operand(value)[0]
                lines.insert(-1 if value != p else len(lines), f"{symbol(name, self.style, 't')} = {given}")
        return lines

    def _named(self, op: Operation) -> str:
        """The left-hand side: a new state, a variable of its own, or an input seen through a modifier."""
        if op.name in self.state_of:
            return symbol(self.state_of[op.name], self.style, "t")
        label = op.label or op.name
        known = (*self.sheet.arrays, *self.sheet.carried, *self.sheet.hypers)
        name = symbol(f"{label}_tilde" if label in known else label, self.style, "t" if op.tensor else "")
        # a helper that is called twice has two variables by one name
        alike = [other for other in self.shown.values() if other.label == op.label and other.name not in self.state_of]
        return name + "'" * (alike.index(op) if op in alike else 0)

    def _operand(self, value: Value) -> tuple[str, int]:
        if not isinstance(value, str):
            return self._literal(value), _ATOM if value >= 0 else _SUM
        if value in self.shown:
            return self._named(self.shown[value]), _ATOM
        if value in self.operations:
            return self._body(self.operations[value])
        if value == "t":
            return "t", _ATOM
        if value == "g":
            return symbol("g", self.style, "t"), _ATOM
        previous = value in self.sheet.arrays or value in self.sheet.carried
        return symbol(value, self.style, "t-1" if previous else ""), _ATOM

    def _inside(self, value: Value, binding: int) -> str:
        text, own = self._operand(value)
        if own >= binding:
            return text
        return rf"\left({text}\right)" if self.latex else f"({text})"

    def _body(self, op: Operation) -> tuple[str, int]:
        a = op.args
        if op.op == "mul" and a[0] == a[1]:
            return self._power(a[0], "2"), _POWER
        if op.op in ("and", "or"):
            own = _AND if op.op == "and" else _OR
            return f" {self.words.relations[op.op]} ".join(self._inside(x, own) for x in a), own
        if op.op == "not":
            return self.words.functions["not"].format(self._inside(a[0], _RELATION)), _NOT
        if op.op in ("add", "sub"):
            right = self._inside(a[1], _SUM if op.op == "add" else _PRODUCT)
            return f"{self._inside(a[0], _SUM)} {'+' if op.op == 'add' else '-'} {right}", _SUM
        if op.op == "mul":
            return f"{self._inside(a[0], _PRODUCT)}{self.words.times}{self._inside(a[1], _PRODUCT)}", _PRODUCT
        if op.op == "div":
            return self._quotient(*a)
        if op.op == "pow":
            return self._power(a[0], self._operand(a[1])[0]), _POWER
        if op.op == "neg":
            return f"-{self._inside(a[0], _PRODUCT)}", _SUM
        if op.op in self.words.relations:
            return f" {self.words.relations[op.op]} ".join(self._inside(x, _SUM) for x in a), _RELATION
        return self.words.functions[op.op].format(*(self._operand(x)[0] for x in a)), _ATOM

    def _literal(self, value: float) -> str:
        """As short as it can be read back from; powers of ten as LaTeX writes them."""
        text = f"{value:g}" if float(f"{value:g}") == value or value != value else repr(value)
        mantissa, e, exponent = text.partition("e")
        if not self.latex or not e:
            return text.replace("inf", r"\infty") if self.latex else text
        factor = "" if mantissa == "1" else rf"{mantissa} \cdot "
        return rf"{factor}10^{{{int(exponent)}}}"

    def _power(self, base: Value, exponent: str) -> str:
        inner = self._inside(base, _ATOM)
        if self.latex:
            # a symbol that carries a subscript takes its exponent outside, or t-1 and 2 would run together
            return rf"{{{inner}}}^{{{exponent}}}"
        if exponent == "2":
            return f"{inner}²"
        return f"{inner}^{exponent}" if len(exponent) == 1 else f"{inner}^({exponent})"

    def _quotient(self, a: Value, b: Value) -> tuple[str, int]:
        if self.latex:
            return rf"\frac{{{self._operand(a)[0]}}}{{{self._operand(b)[0]}}}", _PRODUCT
        return f"{self._inside(a, _PRODUCT)} / {self._inside(b, _POWER)}", _PRODUCT


def symbol(name: str, style: Style = "text", time: str = "") -> str:
    """A variable or hyper-parameter as the equations write it: `lr` is η, `m_hat` at time t is m̂_t."""
    name = _GREEK.get(name, name)
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
    return rf"\mathrm{{{word.replace('_', ' ')}}}" if len(word) > 1 else word


def _text(letter: str, index: str, accent: str, time: str) -> str:
    body = _LETTERS.get(letter, letter) + {"hat": "\u0302", "tilde": "\u0303", "": ""}[accent]
    if index.isdigit():
        body, index = body + index.translate(_SUBSCRIPTS), ""
    subscript = ",".join(part for part in (index.replace("infty", "∞"), time) if part)
    if not subscript:
        return body
    return f"{body}_{subscript}" if len(subscript) == 1 else f"{body}_{{{subscript}}}"
