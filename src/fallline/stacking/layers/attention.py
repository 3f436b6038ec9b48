"""Attention: the trials' heads side by side as one batch."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..form import Stack, form, opened
from .noise import dropout

opened(F.multi_head_attention_forward)


@form(F.scaled_dot_product_attention, shared=True)
def attention(
    stack: Stack,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: Any = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """query (T, *, L, E), key and value (T, *, S, E), attn_mask broadcastable to (T, *, L, S)."""
    random = isinstance(dropout_p, Tensor) or dropout_p > 0
    if enable_gqa and random:
        return NotImplemented
    if attn_mask is not None:
        missing = query.dim() - attn_mask.dim()
        attn_mask = attn_mask.view(attn_mask.size(0), *[1] * missing, *attn_mask.shape[1:])
    size = max(query.size(0), key.size(0), value.size(0), 1 if attn_mask is None else attn_mask.size(0))
    if not random:
        q, k, v = (part.expand(size, *part.shape[1:]) for part in (query, key, value))
        return F.scaled_dot_product_attention(q, k, v, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa)
    weights = query @ key.mT * (1 / math.sqrt(query.size(-1)) if scale is None else scale)
    if is_causal:
        future = torch.ones(weights.shape[-2:], dtype=torch.bool, device=weights.device).triu(1)
        weights = weights.masked_fill(future, -math.inf)
    if attn_mask is not None:
        weights = weights.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else weights + attn_mask
    return dropout(stack, weights.softmax(-1), dropout_p) @ value
