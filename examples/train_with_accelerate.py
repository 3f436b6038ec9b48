"""Accelerate with an optimizer of Fallline: `python examples/train_with_accelerate.py`, or with `accelerate launch`.

`prepare` takes the optimizer and its schedule as they are. Clipping, mixed precision and checkpoints are Accelerate's
own.

With an optimizer that averages weights (`ema=0.999`, `ScheduleFreeAdamW`), evaluate between `optimizer.eval()` and
`optimizer.train()`, which `prepare` hands on.
"""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from fallline.optim import AdamW, recipes


def train(folder: str, epochs: int = 8, precision: str = "no", resume: Path | None = None) -> tuple[nn.Module, float]:
    """Train on handwritten digits, a checkpoint an epoch; returns the model and its accuracy on a fifth held out."""
    x, y = load_digits(return_X_y=True)
    images, labels = torch.tensor(x / 16).float(), torch.tensor(y)
    accelerator = Accelerator(mixed_precision=precision)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 100), nn.LayerNorm(100), nn.GELU(), nn.Linear(100, 10))
    optimizer = AdamW(recipes.no_decay(model, weight_decay=0.05), lr=3e-3)
    batches = DataLoader(TensorDataset(images[:1440], labels[:1440]), 32, shuffle=True)
    schedule = CosineAnnealingLR(optimizer, epochs * len(batches))
    model, optimizer, batches, schedule = accelerator.prepare(model, optimizer, batches, schedule)
    first = 0
    if resume is not None:
        accelerator.load_state(str(resume))
        first = int(resume.name.removeprefix("epoch_"))
    for epoch in range(first, epochs):
        for inputs, targets in batches:
            optimizer.zero_grad()
            with accelerator.autocast():
                loss = nn.functional.cross_entropy(model(inputs), targets)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        accelerator.save_state(str(Path(folder) / f"epoch_{epoch + 1}"))
    with torch.no_grad():
        found = model(images[1440:].to(accelerator.device)).argmax(1).cpu()
    return accelerator.unwrap_model(model), (found == labels[1440:]).float().mean().item()


if __name__ == "__main__":
    print(f"accuracy {train('results/accelerate')[1]:.3f}")
