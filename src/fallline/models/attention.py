"""A small transformer that predicts the next character."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..layers.check import share, whole

__all__ = ["CharTransformer"]


class CharTransformer(nn.Module):
    """Scores of the character after each one: (n, time), whole numbers below `vocabulary` -> (n, time, vocabulary).

    `layers` blocks of causal self-attention with `heads` heads and a feed-forward network of `feedforward` units (four
    times `width`, unless told), on embeddings and sine waves of the position; layers are normalized before each part
    (`norm_first`), or after it as in the paper. Scores are by the embedding's own table (`tied`) or by one of their
    own. `dropout` is the share dropped of the embeddings, of attention weights, and of what each part adds. Raises
    `InputError` for counts below 1, for a width that is odd or no multiple of `heads`, and for a share that is not
    below 1.

    Sources: Vaswani et al. 2017, arXiv:1706.03762, sections 3.1 to 3.5 and 5.4, of which this is the decoder without an
    encoder; tied embeddings: Press & Wolf 2017, arXiv:1608.05859, section 3; norms first: Xiong et al. 2020,
    arXiv:2002.04745.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        *,
        feedforward: int | None = None,
        dropout: float = 0.1,
        tied: bool = True,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        vocabulary, width, heads = whole("vocabulary", vocabulary), whole("width", width), whole("heads", heads)
        if width % heads or width % 2:
            raise InputError(f"width must be even and a multiple of heads={heads}; it is {width}.")
        feedforward = 4 * width if feedforward is None else whole("feedforward", feedforward)
        dropped = share("dropout", dropout)
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropped)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, feedforward, dropped, batch_first=True, norm_first=norm_first)
            for _ in range(whole("layers", layers))
        )
        self.norm = nn.LayerNorm(width) if norm_first else nn.Identity()
        self.head = nn.Linear(width, vocabulary, bias=False)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, characters: Tensor) -> Tensor:
        time = characters.size(-1)
        waves = positions(time, self.width).to(self.embedding.weight)
        causal = nn.Transformer.generate_square_subsequent_mask(time, waves.device, waves.dtype)
        y = self.dropout(self.embedding(characters) * math.sqrt(self.width) + waves)
        for block in self.blocks:
            y = block(y, causal, is_causal=True)
        scores: Tensor = self.head(self.norm(y))
        return scores


def positions(time: int, width: int) -> Tensor:
    """Sine and cosine waves of the position, (time, width). Source: Vaswani et al. 2017, section 3.5."""
    angles = torch.arange(time).double()[:, None] / 10_000 ** (torch.arange(0, width, 2).double() / width)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
