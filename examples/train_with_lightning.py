"""Lightning with an optimizer of Fallline: `python examples/train_with_lightning.py`.

The optimizer and its schedule are what `configure_optimizers` returns. Clipping, mixed precision, checkpoints and
resuming are Lightning's own.

With an optimizer that averages weights (`ema=0.999`, `ScheduleFreeAdamW`), call `self.optimizers().optimizer.eval()` in
`on_validation_epoch_start` and its `train()` in `on_validation_epoch_end`.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from fallline.optim import AdamW, recipes


class Digits(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 100), nn.LayerNorm(100), nn.GELU(), nn.Linear(100, 10))

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self.layers(x), y)

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        x, y = batch
        self.log("accuracy", (self.layers(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(recipes.no_decay(self, weight_decay=0.05))
        schedule = OneCycleLR(optimizer, max_lr=5e-3, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def loaders(shuffle: bool = True) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Handwritten digits, a fifth of them held out."""
    x, y = load_digits(return_X_y=True)
    images, labels = torch.tensor(x / 16).float(), torch.tensor(y)
    training = TensorDataset(images[:1440], labels[:1440])
    return DataLoader(training, 32, shuffle=shuffle), DataLoader(TensorDataset(images[1440:], labels[1440:]), 360)


def trainer(folder: str, epochs: int = 8, **arguments: Any) -> Trainer:
    return Trainer(default_root_dir=folder, max_epochs=epochs, gradient_clip_val=1.0, accelerator="cpu", **arguments)


if __name__ == "__main__":
    torch.manual_seed(0)
    run = trainer("results/lightning", logger=False)
    run.fit(Digits(), *loaders())
    print(f"accuracy {run.callback_metrics['accuracy']:.3f}")
