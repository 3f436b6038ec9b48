"""The equations of a rule, printed from its plan: one line for each variable that the author named.

`style="latex"` is for pages, `style="text"` for a terminal.
"""

from __future__ import annotations

import re
from typing import Any

from ..rules.rule import Rule
from .notation import LATEX, TEXT, Style, function, literal, over, symbol
from .operation import Given, Operation, UnknownOperation, Value
from .plan import Plan, plan

_OR, _AND, _NOT, _RELATION, _SUM, _PRODUCT, _POWER, _ATOM = range(8)
"""How tightly an expression binds, loosest first."""

_TRANSPOSED = {"mT", "T", "mH", "H", "t"}


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
        self.words = LATEX if self.latex else TEXT
        self.operations = sheet.by_name()
        names = [name for name in (*sheet.arrays, *sheet.carried) if name != "g"]
        self.new = dict(zip(names, sheet.outputs, strict=True))
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
            return literal(value, self.style), _ATOM if value >= 0 else _SUM
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
        if op.op == "call":
            return self._call(op)
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
            left, right = (self._inside(x, _PRODUCT) for x in a)
            # a space does not keep 0.5 apart from 0.96
            times = r" \cdot " if self.latex and right.lstrip("{")[:1].isdigit() else self.words.times
            return f"{left}{times}{right}", _PRODUCT
        if op.op == "div":
            return self._quotient(*a)
        if op.op == "pow":
            return self._power(a[0], self._operand(a[1])[0]), _POWER
        if op.op == "neg":
            return f"-{self._inside(a[0], _PRODUCT)}", _SUM
        if op.op in self.words.relations:
            return f" {self.words.relations[op.op]} ".join(self._inside(x, _SUM) for x in a), _RELATION
        text = self.words.functions[op.op].format(*(self._operand(x)[0] for x in a))
        return (over(text, op.extent, self.style) if op.reduces else text), _ATOM

    def _call(self, op: Operation) -> tuple[str, int]:
        """A function of PyTorch or of the rule's own: matrices are written as the field does, the rest by name."""
        assert op.call is not None
        name, args = op.call.title, op.call.args
        if name == "matmul":
            left, right = (self._inside(a, _PRODUCT) for a in op.args)
            return f"{left} {'' if self.latex else '@ '}{right}", _PRODUCT
        if name in _TRANSPOSED or (name == "getattr" and args[1] in _TRANSPOSED):
            return self.words.functions["transposed"].format(self._inside(op.args[0], _ATOM)), _ATOM
        if name == "getitem" and isinstance(args[1], int):
            return self.words.functions["part"].format(self._inside(op.args[0], _ATOM), args[1] + 1), _ATOM
        given = [self._argument(arg) for arg in (*args, *op.call.kwargs.values())]
        return function(name, [text for text in given if text], self.style), _ATOM

    def _argument(self, arg: Any) -> str:
        """An argument of a call; how it is to be done (a dimension to keep, a direction) is left to the code."""
        if isinstance(arg, Given):
            return self._operand(arg.name)[0]
        if isinstance(arg, int | float) and not isinstance(arg, bool):
            return literal(arg, self.style)
        return ""

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
