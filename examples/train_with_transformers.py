"""Hugging Face's Trainer with an optimizer of Fallline: `python examples/train_with_transformers.py`.

The optimizer and its schedule go in as `optimizers=`. Clipping, mixed precision (`bf16=True`), checkpoints and resuming
are the Trainer's own.

An optimizer that averages weights (`AdamW(..., ema=0.999)`, `ScheduleFreeAdamW`) is put into evaluation by the Trainer:
what it saves after an evaluation are the averaged weights, and the optimizer's checkpoint holds the trained ones.
"""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from transformers import Trainer, TrainingArguments, get_cosine_schedule_with_warmup

from fallline.optim import AdamW, recipes


class Net(nn.Module):
    """What a Trainer wants of a model: it takes the batch by name and gives its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 100), nn.LayerNorm(100), nn.GELU(), nn.Linear(100, 10))

    def forward(self, pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.layers(pixels)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def trainer(folder: str, steps: int = 300, **arguments: Any) -> Trainer:
    """A trainer on handwritten digits, a fifth of them held out."""
    x, y = load_digits(return_X_y=True)
    images = [{"pixels": p, "labels": c} for p, c in zip(torch.tensor(x / 16).float(), y.tolist(), strict=True)]
    torch.manual_seed(0)
    model = Net()
    optimizer = AdamW(recipes.no_decay(model, weight_decay=0.05), lr=3e-3)
    schedule = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=steps // 10, num_training_steps=steps)
    return Trainer(
        model,
        TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=32, max_grad_norm=1.0, report_to="none", **arguments
        ),
        train_dataset=images[:1440],
        eval_dataset=images[1440:],
        optimizers=(optimizer, schedule),
        compute_metrics=lambda found: {"accuracy": (found.predictions.argmax(1) == found.label_ids).mean()},
    )


if __name__ == "__main__":
    run = trainer("results/transformers")
    run.train()
    print(f"accuracy {run.evaluate()['eval_accuracy']:.3f}")
