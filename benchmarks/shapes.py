"""The parameter shapes of three models: what a step costs depends on nothing else."""

from __future__ import annotations

Shape = tuple[int, ...]


def digits_mlp() -> list[Shape]:
    """64-100-10: 7,510 parameters in 4 tensors."""
    return [(100, 64), (100,), (10, 100), (10,)]


def resnet18() -> list[Shape]:
    """ResNet-18 at 1,000 classes: 11.7 million parameters in 62 tensors."""
    shapes: list[Shape] = [(64, 3, 7, 7), (64,), (64,)]
    width_in = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            first = width_in if block == 0 else width
            shapes += [(width, first, 3, 3), (width,), (width,), (width, width, 3, 3), (width,), (width,)]
            if first != width:
                shapes += [(width, first, 1, 1), (width,), (width,)]
        width_in = width
    return [*shapes, (1000, 512), (1000,)]


def gpt2_small() -> list[Shape]:
    """GPT-2 small with tied embeddings: 124 million parameters in 148 tensors."""
    d = 768
    block = [(d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,), (d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,)]
    return [(50257, d), (1024, d), *(shape for _ in range(12) for shape in block), (d,), (d,)]


MODELS = {"digits MLP": digits_mlp, "ResNet-18": resnet18, "GPT-2 small": gpt2_small}
