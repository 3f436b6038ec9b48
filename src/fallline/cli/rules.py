"""`fallline rules` and `fallline rules show`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .app import AsJson, app

if TYPE_CHECKING:
    from ..rules import Rule

rules_app = typer.Typer(help="The update rules: all of them, a line each, or one in full.", invoke_without_command=True)
app.add_typer(rules_app, name="rules")


@rules_app.callback()
def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """Every rule, a line each."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.text import Text

    from ..kernels import cost
    from ..rules import MODIFIERS, REGISTRY

    found = [REGISTRY[name] for name in sorted(REGISTRY)]
    if as_json:
        print(json.dumps([_sheet(rule) for rule in found], indent=2))
        return
    console = Console(highlight=False)
    width = max(len(rule.name) for rule in found)
    lines: list[tuple[object, ...]] = [("rule", "states", "bytes", "what it is")]
    lines += [(rule.name, cost(rule).states, cost(rule).bytes_per_parameter, rule.summary) for rule in found]
    for name, states, moved, summary in lines:
        console.print(Text(f"{name:{width}}  {states:>6}  {moved:>5}  {summary}"), no_wrap=True, overflow="ellipsis")
    console.print(Text(f"\n{'modifier':{width}}  what it does around a rule, as in ema(clip_norm(adamw))"))
    for name in sorted(MODIFIERS):
        console.print(Text(f"{name:{width}}  {MODIFIERS[name].summary}"), no_wrap=True, overflow="ellipsis")
    console.print("\nBytes: what a step moves for one float32 parameter. One in full: fallline rules show adam")


@rules_app.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(help='A rule, file.py:name for one of your own, or modifiers around one: "ema(adamw)".'),
    ],
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """One rule in full: equation, paper, hyper-parameters with defaults and ranges, state, bytes a step."""
    from ..kernels import equation
    from ..study import load_rule

    rule = load_rule(name)
    if latex:
        print("\n".join(equation(rule)))
    elif as_json:
        print(json.dumps(_sheet(rule), indent=2))
    else:
        _print_rule(rule)


def _sheet(rule: Rule) -> dict[str, object]:
    """A rule as plain data, for programs."""
    from ..kernels import cost, equation
    from ..optim import call

    sheet = cost(rule)
    return {
        "name": rule.name,
        "call": call(rule),
        "summary": rule.summary,
        "paper": rule.paper,
        "latex": equation(rule),
        "states": [*rule.states, *rule.numbers],
        "bytes_per_parameter": sheet.bytes_per_parameter,
        "state_bytes_per_parameter": sheet.state_bytes,
        "hypers": {
            hyper.name: {
                "default": hyper.default,
                "allowed": str(hyper.allowed),
                "search": None if hyper.search is None else asdict(hyper.search),
            }
            for hyper in rule.hypers.values()
        },
    }


def _print_rule(rule: Rule) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.table import Table
    from rich.text import Text

    from ..kernels import cost, equation, symbol
    from ..optim import call

    console = Console(highlight=False, markup=False)
    sheet = cost(rule)
    console.print(Text(f"{rule.name}: {rule.summary}", style="bold"))
    console.print(f"Paper: {rule.paper or 'none given'}\nOptimizer: {call(rule)}\n")
    console.print(Padding(Text("\n".join(equation(rule, "text"))), (0, 4)))
    table = Table(box=None, pad_edge=False)
    for column in ("hyper-parameter", "", "default", "allowed", "searched"):
        table.add_column(column)
    for hyper in rule.hypers.values():
        searched = str(hyper.search) if hyper.search else "no"
        table.add_row(hyper.name, symbol(hyper.name), f"{hyper.default:g}", str(hyper.allowed), searched)
    console.print(Padding(table, (1, 0)))
    states = ", ".join(rule.states) or "none"
    numbers = f", and one number carried along: {', '.join(rule.numbers)}" if rule.numbers else ""
    console.print(f"State tensors: {states}{numbers}. Bytes for a float32 parameter: {sheet.state_bytes}.")
    console.print(
        f"A step reads {sheet.reads} arrays and writes {sheet.writes}: {sheet.bytes_per_parameter} bytes for a "
        "float32 parameter.\n"
    )
    console.print(Syntax(rule.source.rstrip(), "python", background_color="default"))
