"""A trained model as a file for other programs: one function for each format, found by its name."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from ..errors import InputError, unknown
from ..tensors import tensors_of
from ..training.checkpoint import write

Export = Callable[[nn.Module, Tensor, Path], Path]
"""`export(model, x, directory)`: writes the model, in evaluation mode, as it takes inputs like x; the file's path."""

EXPORTS: dict[str, Export] = {}
_NEEDS: dict[str, tuple[str, ...]] = {}


def exporter(*needs: str) -> Callable[[Export], Export]:
    """Make a function a format; `needs` are the modules without which it cannot be written."""

    def add(function: Export) -> Export:
        EXPORTS[function.__name__] = function
        _NEEDS[function.__name__] = needs
        return function

    return add


def check(names: Sequence[str]) -> None:
    """Raises `InputError` for a name that no format has, or one whose library is not installed."""
    for name in names:
        if name not in EXPORTS:
            raise unknown("format to export to", name, EXPORTS)
        missing = [module for module in _NEEDS[name] if importlib.util.find_spec(module) is None]
        if missing:
            raise InputError(f"export to {name} needs {missing[0]}; install it with: pip install 'fallline[{name}]'")


def export(model: nn.Module, x: Tensor, directory: Path, names: Sequence[str]) -> list[Path]:
    """Write the model in all these formats; the paths. The model stays in the mode it was in.

    Raises `InputError` for a model that a format cannot hold, and for a directory that cannot take it.
    """
    training = model.training
    model.eval()
    try:
        return [EXPORTS[name](model, x, directory) for name in names]
    except OSError as error:
        raise InputError(f"the model cannot be written into {directory}: {error.strerror or error}.") from error
    finally:
        model.train(training)


def attempt(model: nn.Module, x: Tensor, names: Sequence[str]) -> None:
    """Raises `InputError` for a model that one of these formats cannot hold; what can fail is tried."""
    tried = [name for name in names if _NEEDS[name]]
    if tried:
        with TemporaryDirectory() as directory:
            export(model, x, Path(directory), tried)


@exporter()
def safetensors(model: nn.Module, x: Tensor, directory: Path) -> Path:
    """`model.safetensors`: the model's `state_dict`, a tensor with several names under the first."""
    path = directory / "model.safetensors"
    write(path, tensors_of(model), {"facts": {"model": type(model).__name__}})
    return path


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Errors alone from a library's log."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@exporter("onnx", "onnxscript")
def onnx(model: nn.Module, x: Tensor, directory: Path) -> Path:
    """`model.onnx`, for any number of examples in a batch."""
    path = directory / "model.onnx"
    temporary = path.with_suffix(".tmp.onnx")
    try:
        with warnings.catch_warnings(), _silent("torch.onnx"):
            warnings.simplefilter("ignore")  # of PyTorch's about its own ways
            program = torch.onnx.export(
                model,
                (x[:2],),
                input_names=["x"],
                output_names=["outputs"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        program.save(temporary, external_data=False)
        temporary.replace(path)
    except OSError:
        raise
    except Exception as error:
        raise InputError(
            f"the model cannot be exported to ONNX: {type(error).__name__}: {str(error).strip().splitlines()[0]}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
