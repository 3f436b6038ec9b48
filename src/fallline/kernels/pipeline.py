"""How Numba compiles a kernel: its passes but for those that find nothing to do in generated text.

These look for closures, contexts, dynamic exceptions, literals to unroll, expressions to rewrite and overloads to
inline, annotate the text with types, and give every assignment of a variable a name of its own: in a kernel a variable
has one type, whatever is assigned. They take a quarter of the time of compiling, and LLVM receives the same.
"""

from __future__ import annotations

from typing import Any

from numba.core import typed_passes, untyped_passes
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager

_NEEDLESS = (
    untyped_passes.DeadBranchPrune,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.GenericRewrites,
    untyped_passes.InlineClosureLikes,
    untyped_passes.LiteralPropagationSubPipelinePass,
    untyped_passes.LiteralUnroll,
    untyped_passes.MakeFunctionToJitFunction,
    untyped_passes.ReconstructSSA,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.WithLifting,
    typed_passes.AnnotateTypes,
    typed_passes.InlineOverloads,
    typed_passes.NopythonRewrites,
    typed_passes.PreLowerStripPhis,
)


class Kernels(CompilerBase):
    """The compiler of kernels."""

    def define_pipelines(self) -> list[Any]:
        """One pipeline."""
        whole = DefaultPassBuilder.define_nopython_pipeline(self.state)  # type: ignore[no-untyped-call]
        kernels = PassManager("kernels")  # type: ignore[no-untyped-call]
        for compiler_pass, description in whole.passes:
            if compiler_pass not in _NEEDLESS:
                kernels.add_pass(compiler_pass, description)  # type: ignore[no-untyped-call]
        kernels.finalize()  # type: ignore[no-untyped-call]
        return [kernels]
