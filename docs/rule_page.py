"""The page of a rule, made from the rule: a function for each section, each giving Markdown."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Container

import torch

from fallline.kernels import cost, equation, symbol
from fallline.optim import class_of, curvature
from fallline.optim.curvature import CurvatureOptimizer
from fallline.optim.generic import class_of_rule
from fallline.report.markup import mathml
from fallline.rules import Rule, get

from . import words
from .composition import built_in, composed
from .composition import modifiers as known_modifiers
from .family import family
from .picture import picture
from .state import LARGE, bytes_of_state
from .valley import tuned


def page(rule: Rule, leave_out: Container[str] = ()) -> str:
    """The whole page as Markdown, but for the sections to be left out, which are named by their titles."""
    made = [f"## {title}\n\n{section(rule)}" for title, section in SECTIONS.items() if title not in leave_out]
    return "\n\n".join([head(rule), *made])


def head(rule: Rule) -> str:
    """Name, summary, paper and how to use it."""
    settings = ", ".join(f"{name}={words.number(value)}" for name, value in list(rule.defaults.items())[:1])
    given = ", ".join(filter(None, ["model.parameters()", settings]))
    twin = f"# in place of torch.optim.{rule.title}\n" if _has_twin(rule) else ""
    use = (
        f"{twin}opt = fallline.optim.{rule.title}({given})\n\n"
        "# the same rule by its name, with the settings named as below\n"
        f'opt = fallline.optim.optimizer("{rule.name}", {given})'
    )
    lines = [f"# {rule.title}", words.prose(rule.summary), *_more(rule)]
    if rule.paper:
        lines.append(f"**Paper** {words.prose(rule.paper)}")
    lines.append(f"**Family** [{family(rule).title}](index.md#{family(rule).anchor})")
    if rule.otherwise is not None:
        lines.append(_shares(rule))
    if rule.evaluation is not None:
        lines.append(
            "**Evaluation.** The weights to evaluate at are not those that are trained: `opt.eval()` puts them into "
            "the model, `opt.train()` goes back."
        )
    if issubclass(class_of(rule), CurvatureOptimizer):
        lines.append(words.paragraphs(curvature))
    return "\n\n".join([*lines, words.python(use)])


def _more(rule: Rule) -> list[str]:
    """What the rule's text says of itself after its summary; a modified rule has only the summary."""
    said = inspect.getdoc(rule.parts[0]) or "" if len(rule.parts) == 1 else ""
    return [words.prose(paragraph) for paragraph in said.split("\n\n")[1:]]


def _has_twin(rule: Rule) -> bool:
    return class_of(rule) is not class_of_rule(rule) and hasattr(torch.optim, rule.title)


def _shares(rule: Rule) -> str:
    assert rule.otherwise is not None
    longest = f" or has a side longer than {rule.largest:,}" if rule.largest is not None else ""
    flat = " Tensors of more dimensions are seen as the matrix of the first by all others." if rule.flat else ""
    return (
        f"**For matrices.** A parameter that has fewer than two dimensions{longest} is stepped by "
        f"{_link(rule.otherwise)}.{flat}"
    )


def _link(rule: Rule) -> str:
    if _is_private(rule):
        return f"a rule that is given below ({words.prose(rule.summary.rstrip('.'))})"
    return f"[{rule.title}]({rule.name}.md)" if rule in built_in() else words.code(rule.name)


def _is_private(rule: Rule) -> bool:
    """Whether the rule, or what it is made from, is a part of others and has no page."""
    return rule.name.startswith("_") or (rule.inner is not None and _is_private(rule.inner))


def formula(rule: Rule) -> str:
    """The equations, as MathML."""
    return words.formula(equation(rule))


def path(rule: Rule) -> str:
    """The picture of the rule's path beside gradient descent's."""
    sgd = get("sgd")
    return picture({one.title: tuned(one) for one in (sgd, rule)})


def hypers(rule: Rule) -> str:
    """A row for each hyper-parameter."""
    rows = [
        (
            words.code(hyper.name),
            mathml(symbol(hyper.name, "latex"), "inline"),
            words.number(hyper.default),
            words.plain(str(hyper.allowed)),
            words.plain(str(hyper.search)) if hyper.search else "no",
        )
        for hyper in rule.hypers.values()
    ]
    return words.table(("Name", "Symbol", ">Default", "Allowed", "Searched"), rows)


def cost_sheet(rule: Rule) -> str:
    """What the rule keeps, and what a step moves."""
    sheet = cost(rule)
    kept = [f"{words.code(name)}{_kept(rule, name)}" for name in rule.states]
    kept += [f"{words.code(name)}, one number that starts at {start:g}" for name, start in rule.numbers.items()]
    passes = [f"Pass {k}: {words.prose(str(sweep))}." for k, sweep in enumerate(sheet.sweeps, 1)]
    functions = ", ".join(map(words.code, sheet.functions))
    lines = [
        f"State: {'; '.join(kept) or 'none'}.",
        f"Bytes of state beside each element of a float32 matrix of {LARGE[0]} rows and {LARGE[1]} columns: "
        f"{bytes_of_state(rule):g}.",
        *passes,
        *([f"Between them: {functions}; what these move is not counted."] if functions else []),
        f"In all {sheet.bytes_per_parameter} bytes for a float32 parameter. No step is faster than the memory moves "
        "these.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _kept(rule: Rule, name: str) -> str:
    shape = f", {rule.shapes[name]}".replace(" x ", " × ") if name in rule.shapes else ""
    start = rule.starts.get(name)
    where = {None: "", "p": ", starts at the parameter", "eye": ", starts at the identity"}
    return shape + where.get(start, f", starts at {start}")  # type: ignore[arg-type]


def modifiers(rule: Rule) -> str:
    """What each modifier makes of the rule, for those that it composes with."""
    rows = []
    plain = cost(rule)
    for modifier in itertools.chain(*known_modifiers().values()):
        modified = composed(modifier, rule)
        if modified is None:
            continue
        name, sheet = modifier.__name__, cost(modified)
        rows.append(
            (
                f"[{words.code(name)}](../modifiers.md#{name})",
                ", ".join(map(words.code, modifier.hypers)) or "–",
                f"{sheet.states} (+{sheet.states - plain.states})",
                f"{sheet.bytes_per_parameter} ({sheet.bytes_per_parameter - plain.bytes_per_parameter:+g})",
            )
        )
    return words.table(("Modifier", "Settings", ">State tensors", ">Bytes moved"), rows)


def source(rule: Rule) -> str:
    """The text that everything above is made from; also that of a rule for the rest which has no page."""
    rest = rule.otherwise
    own = rest.source if rest is not None and _is_private(rest) else ""
    return words.python("\n\n".join(filter(None, [rule.source, own])))


SECTIONS: dict[str, Callable[[Rule], str]] = {
    "Equation": formula,
    "Path": path,
    "Hyper-parameters": hypers,
    "Cost": cost_sheet,
    "Modifiers": modifiers,
    "Code": source,
}
"""The sections of a page after its head, by title."""
