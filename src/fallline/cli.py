"""The command line: one verb, one function call. PyTorch is imported by the verbs that need it, not by `--help`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import FalllineError

if TYPE_CHECKING:
    from .rules import Rule

app = typer.Typer(
    name="fallline",
    help="Which optimizer trains your own PyTorch model best, and how sure is that?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rules_app = typer.Typer(help="The update rules: all of them, a line each, or one in full.", invoke_without_command=True)
app.add_typer(rules_app, name="rules")

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]


@app.command()
def compare(
    problem: Annotated[str, typer.Argument(help="A built-in problem, file.py:name or package.module:name.")],
    rules: Annotated[str | None, typer.Option(help="Rules to compare, separated by commas.")] = None,
    trials: Annotated[int, typer.Option(help="Random-search trials for every rule.")] = 16,
    seeds: Annotated[int, typer.Option(help="Fresh seeds on which each winner is trained again.")] = 5,
    out: Annotated[Path, typer.Option(help="Directory of the record and the report.")] = Path("results"),
    data: Annotated[Path | None, typer.Option(help="Directory of the data, for problems that need files.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the whole study.")] = 0,
    target: Annotated[float | None, typer.Option(help="Validation metric for steps and seconds to target.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare optimizers on a problem: an equal search for each, winners on fresh seeds, a report.

    What is finished is kept when it is stopped; the same command goes on from there.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from . import report
    from .problems import load
    from .study import DEFAULT_RULES
    from .study import compare as run

    report.check()
    # the problem first: its file may define rules that `--rules` names
    loaded = load(problem, data)
    result = run(loaded, rules or DEFAULT_RULES, trials=trials, seeds=seeds, out=out, seed=seed, target=target)
    page = result.report(out / "report.html")
    if as_json:
        print(result.to_json())
    else:
        console = Console(highlight=False, markup=False)
        console.print(result.table())
        for sentence in [*(difference.sentence for difference in result.differences), *result.notes]:
            console.print(Padding(Text(f"- {sentence}"), (0, 0, 0, 1)))
        console.print(f"\nLook next at the report: {page}")
    if not result.complete:
        raise typer.Exit(INTERRUPTED)


@rules_app.callback()
def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """Every rule, a line each."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.text import Text

    from .kernels import cost
    from .rules import REGISTRY

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
    console.print("\nBytes: what a step moves for one float32 parameter. One in full: fallline rules show adam")


@rules_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A rule's name, or file.py:name for one of your own.")],
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """One rule in full: equation, paper, hyper-parameters with defaults and ranges, state, bytes a step."""
    from .kernels import equation
    from .study import load_rule

    rule = load_rule(name)
    if latex:
        print("\n".join(equation(rule)))
    elif as_json:
        print(json.dumps(_sheet(rule), indent=2))
    else:
        _print_rule(rule)


def _sheet(rule: Rule) -> dict[str, object]:
    """A rule as plain data, for programs."""
    from .kernels import cost, equation
    from .optim import class_name

    sheet = cost(rule)
    return {
        "name": rule.name,
        "class": class_name(rule),
        "summary": rule.summary,
        "paper": rule.paper,
        "latex": equation(rule),
        "states": [*rule.states, *rule.numbers],
        "bytes_per_parameter": sheet.bytes_per_parameter,
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

    from .kernels import cost, equation, symbol
    from .optim import class_name

    console = Console(highlight=False, markup=False)
    sheet = cost(rule)
    console.print(Text(f"{rule.name}: {rule.summary}", style="bold"))
    console.print(f"Paper: {rule.paper or 'none given'}\nClass: fallline.optim.{class_name(rule)}\n")
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
    console.print(f"State tensors: {states}{numbers}.")
    console.print(
        f"A step reads {sheet.reads} arrays and writes {sheet.writes}: {sheet.bytes_per_parameter} bytes for a "
        "float32 parameter.\n"
    )
    console.print(Syntax(rule.source.rstrip(), "python", background_color="default"))


def main() -> None:
    """Entry point of the `fallline` command."""
    try:
        app()
    except FalllineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
