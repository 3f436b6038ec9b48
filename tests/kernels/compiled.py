"""What Triton's compiler makes of rules' kernels for a GPU that need not be there: `python -m tests.kernels.compiled`.

Takes a compute capability (90) and the names of rules; prints a kernel a line, as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from fallline.kernels.form import Kind, form
from fallline.kernels.gpu import printer
from fallline.kernels.gpu.kernel import WARPS
from fallline.rules import get, rule
from fallline.rules.trace import chosen, conditions, decision

DTYPES = (torch.float32, torch.bfloat16)
_FLOATS, _WHOLE = ("rows", "derived", "partials"), ("table", "blocks", "blocks_of")
_TYPES = dict.fromkeys(_FLOATS, "*fp64") | dict.fromkeys(_WHOLE, "*i64")


@rule
def _remainders(p, g, *, t, lr=0.1):
    """What no rule of the package asks of elements."""
    return p - lr * (g // 0.3 + g % 0.7).tanh()


OWN = {"remainders": _remainders}


def kernels(name: str, dtype: torch.dtype) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The Triton functions of a rule for matrices of a type, each with the constants of all its launches."""
    asked = OWN.get(name) or get(name)
    if conditions(asked):
        asked = chosen(asked, decision(asked)((1.0, *asked.defaults.values(), *asked.numbers.values())))
    made = form(asked, Kind((dtype,) * (2 + len(asked.states)), (40, 300), backend="triton"))
    for step in made.steps if made is not None else ():
        for function in getattr(step, "functions", {}).values():
            launches = [launch for launch in step._along if launch.function == function.__name__]
            blocks = {(launch.deep, launch.side) for launch in launches} or {(1, 1)}
            for deep, side in sorted(blocks):
                yield function, {"ALIGNED": True, "BLOCK": printer.BLOCK, "DEEP": deep, "SIDE": side}


def compiled(function: Any, constants: Mapping[str, Any], capability: int) -> dict[str, Any]:
    """What is made of a function: its text for the machine, and what that takes."""
    names = function.arg_names
    signature = {name: _TYPES.get(name, "constexpr") for name in names}
    given = {(k,): constants[name] for k, name in enumerate(names) if name in constants}
    attributes = {(k,): [["tt.divisibility", 16]] for k, name in enumerate(names) if name in _TYPES}
    source = ASTSource(function, signature, constexprs=given, attrs=attributes)
    options = {"enable_fp_fusion": False, "num_warps": WARPS[function.__name__]}
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    taken = _resources(made.asm["cubin"])
    # what calls need lies there, too
    spilled = _spilled(made.asm["ptx"], capability) if taken["STACK"] + taken["LOCAL"] else 0
    return {"ptx": made.asm["ptx"], "registers": taken["REG"], "spilled": spilled}


def _resources(binary: bytes) -> dict[str, int]:
    """A thread's registers, and its bytes of memory of its own."""
    said = _asked(knobs.nvidia.cuobjdump.path, "cubin", binary, "-res-usage")
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", said)}


def _spilled(ptx: str, capability: int) -> int:
    """The bytes that a thread stores because registers do not suffice."""
    (target,) = re.findall(r"^\.target (\w+)", ptx, re.MULTILINE)
    options = ("-v", "--fmad=false", f"--gpu-name={target}", "-o", "/dev/null")
    said = _asked(get_ptxas(capability).path, "ptx", ptx.encode(), *options)
    return sum(map(int, re.findall(r"(\d+) bytes spill stores", said)))


def _asked(tool: str, kind: str, text: bytes, *options: str) -> str:
    """What one of the tools in Triton's wheel says of a text."""
    with tempfile.NamedTemporaryFile(suffix=f".{kind}") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([tool, *options, file.name], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def main() -> None:
    """Compile, and say what was made."""
    capability, *rules = sys.argv[1:]
    for name in rules:
        for dtype in DTYPES:
            for function, constants in kernels(name, dtype):
                facts = {"rule": name, "dtype": str(dtype), "function": function.__name__, **constants}
                print(json.dumps({**facts, **compiled(function, constants, int(capability))}), flush=True)


if __name__ == "__main__":
    main()
