"""From a rule's text to machine code: trace once, plan once, one pass over memory a step.

The rule's graph (`rules.trace`) becomes a `plan`: a list of operations from a closed vocabulary in which numbers, which
depend on no tensor, are told apart from what is computed for every element. From the plan come

- the kernel for the CPU: `cpu.text(plan(rule), "float32")` is its text, `cpu.compiled` the machine code;
- the cost sheet: `cost(rule).bytes_per_parameter`;
- the equations: `equation(rule, style="latex")`.

`Stepper` steps tensors by a rule: by the kernel those that fit one, by the rule's own text all others, with the same
result. A new backend is one new file that prints plans; a new operation is a line in the vocabulary and one in each
printer.
"""

from __future__ import annotations

from .cost import Cost, cost
from .equation import equation
from .notation import symbol
from .operation import Operation, UnknownOperation
from .plan import Plan, plan
from .stepper import Stepper

__all__ = ["Cost", "Operation", "Plan", "Stepper", "UnknownOperation", "cost", "equation", "plan", "symbol"]
