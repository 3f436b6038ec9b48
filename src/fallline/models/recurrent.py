"""An LSTM that predicts the next character."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layers.check import share, whole

__all__ = ["CharLSTM"]


class CharLSTM(nn.Module):
    """Scores of the character after each one: (n, time), whole numbers below `vocabulary` -> (n, time, vocabulary).

    Characters are embedded in `embedding` numbers (as many as the LSTM is wide, unless told), read by `layers` layers
    of `width` units from a state of zeros, and scored by the embedding's own table (`tied`; through a linear map where
    the two widths differ) or by one of its own. `dropout` is the share dropped of what enters and leaves every layer,
    never of what goes from step to step. Raises `InputError` for counts below 1, and for a share that is not below 1.

    Sources: Hochreiter & Schmidhuber 1997, Neural Computation 9(8); dropout: Zaremba et al. 2014, arXiv:1409.2329,
    section 3.2 and figure 2; tied embeddings: Press & Wolf 2017, arXiv:1608.05859, section 3; forget gates biased to 1:
    Jozefowicz et al. 2015, Proceedings of Machine Learning Research 37.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 256,
        layers: int = 1,
        *,
        embedding: int | None = None,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        vocabulary, width, layers = whole("vocabulary", vocabulary), whole("width", width), whole("layers", layers)
        embedding = width if embedding is None else whole("embedding", embedding)
        dropped = share("dropout", dropout)
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, width, layers, batch_first=True, dropout=dropped if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropped)
        self.narrow = nn.Linear(width, embedding) if tied and embedding != width else None
        self.head = nn.Linear(embedding if tied else width, vocabulary)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        nn.init.zeros_(self.head.bias)
        if tied:
            self.head.weight = self.embedding.weight
        with torch.no_grad():
            for name, values in self.lstm.named_parameters():
                if name.startswith("bias"):  # input, forget, cell, output gates; two biases that are added
                    values.zero_()[width : 2 * width] = 1.0 if name.startswith("bias_ih") else 0.0

    def forward(self, characters: Tensor) -> Tensor:
        y, _ = self.lstm(self.dropout(self.embedding(characters)))
        y = self.dropout(y)
        scores: Tensor = self.head(y if self.narrow is None else self.narrow(y))
        return scores
