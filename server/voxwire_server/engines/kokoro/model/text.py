"""The first stage's networks over phonemes: PL-BERT (an ALBERT), the encoders for prosody and for speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxwire_server.engines.kokoro.model.layers import STYLE, UNIT, AdaptiveLayerNorm, BidirectionalLSTM, ChannelNorm

if TYPE_CHECKING:
    from voxwire_server.engines.kokoro.model.layers import Rows

HIDDEN = 512
SYMBOLS = 178
POSITIONS = 512
_EMBEDDING, _WIDTH, _HEADS, _FEED_FORWARD, _DEPTH = 128, 768, 12, 2048, 12
_BERT_EPSILON = 1e-12


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.dense = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.LayerNorm = nn.LayerNorm(_WIDTH, eps=_BERT_EPSILON)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        split = (*x.shape[:2], _HEADS, -1)
        query, key, value = (layer(x).view(split).transpose(1, 2) for layer in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        normed: Tensor = self.LayerNorm(x + self.dense(seen.transpose(1, 2).flatten(2)))
        return normed


class _BertLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = _Attention()
        self.ffn = nn.Linear(_WIDTH, _FEED_FORWARD)
        self.ffn_output = nn.Linear(_FEED_FORWARD, _WIDTH)
        self.full_layer_layer_norm = nn.LayerNorm(_WIDTH, eps=_BERT_EPSILON)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention(x, mask)
        fed = self.ffn_output(functional.gelu(self.ffn(x), approximate="tanh"))
        normed: Tensor = self.full_layer_layer_norm(fed + x)
        return normed


class _BertGroup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.albert_layers = nn.ModuleList([_BertLayer()])


class _BertEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding_hidden_mapping_in = nn.Linear(_EMBEDDING, _WIDTH)
        self.albert_layer_groups = nn.ModuleList([_BertGroup()])

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.embedding_hidden_mapping_in(x)
        group = self.albert_layer_groups[0]
        assert isinstance(group, _BertGroup)
        for _ in range(_DEPTH):
            x = group.albert_layers[0](x, mask)
        return x


class _BertEmbeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(SYMBOLS, _EMBEDDING)
        self.position_embeddings = nn.Embedding(POSITIONS, _EMBEDDING)
        self.token_type_embeddings = nn.Embedding(2, _EMBEDDING)
        self.LayerNorm = nn.LayerNorm(_EMBEDDING, eps=_BERT_EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        position = self.position_embeddings.weight[: tokens.shape[1]]
        embedded: Tensor = self.LayerNorm(
            self.word_embeddings(tokens) + position + self.token_type_embeddings.weight[0]
        )
        return embedded


class PhonemeBert(nn.Module):
    """PL-BERT (Li et al. 2023): an ALBERT of twelve passes through one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = _BertEmbeddings()
        self.encoder = _BertEncoder()

    def forward(self, tokens: Tensor, rows: Rows) -> Tensor:
        """`tokens` [B, L] -> [B, L, 768]; padding is not attended to."""
        mask = None if rows.even else rows.mask(UNIT, tokens.shape[1], torch.bool)[:, None]
        encoded: Tensor = self.encoder(self.embeddings(tokens), mask)
        return encoded


class ProsodyEncoder(nn.Module):
    """Three LSTMs with style-dependent norms over what PL-BERT gives (DurationEncoder)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstms = nn.ModuleList(
            layer for _ in range(3) for layer in (BidirectionalLSTM(HIDDEN + STYLE, HIDDEN), AdaptiveLayerNorm(HIDDEN))
        )

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """`x` [B, L, 512] -> [B, L, 640]: the style stands beside each token, before and after."""
        beside = style[:, None].expand(-1, x.shape[1], -1)
        x = rows.clear_tokens(torch.cat([x, beside], -1))
        for i in range(0, len(self.lstms), 2):
            x = self.lstms[i + 1](self.lstms[i](x, rows), style)
            x = rows.clear_tokens(torch.cat([x, beside], -1))
        return x


class SpeechTextEncoder(nn.Module):
    """Three convolutions and an LSTM over the phonemes themselves (TextEncoder)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, HIDDEN)
        self.cnn = nn.ModuleList(
            nn.ModuleList([nn.Conv1d(HIDDEN, HIDDEN, 5, padding=2), ChannelNorm(HIDDEN)]) for _ in range(3)
        )
        self.lstm = BidirectionalLSTM(HIDDEN, HIDDEN)

    def forward(self, tokens: Tensor, rows: Rows) -> Tensor:
        """`tokens` [B, L] -> [B, L, 512], zero in the padding."""
        x = rows.clear_tokens(self.embedding(tokens))
        for pair in self.cnn:
            assert isinstance(pair, nn.ModuleList)
            convolution, norm = pair
            x = norm(convolution(x.transpose(1, 2)).transpose(1, 2))
            x = rows.clear_tokens(functional.leaky_relu(x, 0.2))
        return rows.clear_tokens(self.lstm(x, rows))
