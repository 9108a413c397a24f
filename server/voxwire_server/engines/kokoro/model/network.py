"""The whole network in three stages. A stage takes a batch of unequal rows and gives each row as if it were alone.

    encode    tokens            -> durations, and the features of each token for prosody and speech
    front     tokens, durations -> frames at 80 Hz and their pitch
    generate  frames, pitch     -> samples

No stage waits for the device: its caller passes the lengths, known on the host. The large convolutions may be of half
precision (`convolution_dtype`, `Kokoro.lower`); everything else is float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import torch
from torch import Tensor, nn

from voxwire_server.engines.kokoro.model.layers import (
    STYLE,
    UNIT,
    BidirectionalLSTM,
    Convolution,
    Rate,
    Rows,
    StyledBlock,
    TransposedConvolution,
)
from voxwire_server.engines.kokoro.model.text import HIDDEN, PhonemeBert, ProsodyEncoder, SpeechTextEncoder
from voxwire_server.engines.kokoro.model.vocoder import Generator
from voxwire_server.engines.kokoro.options import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FRAME_SAMPLES = 600
"""Samples of one unit of a duration: 25 ms at 24 kHz."""
_DURATION_MAX = 50
_HALVES = Rate(2)
_RESIDUAL = 64


@dataclass(frozen=True, slots=True)
class Encoded:
    """What `encode` gives: `prosody` [B, L, 640], `speech` [B, L, 512], `durations` [B, L] int64 in frames of 25 ms."""

    prosody: Tensor
    speech: Tensor
    durations: Tensor


@dataclass(frozen=True, slots=True)
class AcousticFeatures:
    """What `front` gives: `frames` [B, 512, 2 T] and `pitch` [B, 2 T] in Hz, T frames of 25 ms; zero in the padding."""

    frames: Tensor
    pitch: Tensor


class _Durations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(HIDDEN, _DURATION_MAX)


class Prosody(nn.Module):
    """How long each token lasts, and pitch and energy over the frames (ProsodyPredictor)."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = ProsodyEncoder()
        self.lstm = BidirectionalLSTM(HIDDEN + STYLE, HIDDEN)
        self.duration_proj = _Durations()
        self.shared = BidirectionalLSTM(HIDDEN + STYLE, HIDDEN)
        self.F0 = _curve_blocks()
        self.N = _curve_blocks()
        self.F0_proj = nn.Conv1d(HIDDEN // 2, 1, 1)
        self.N_proj = nn.Conv1d(HIDDEN // 2, 1, 1)

    def durations(self, encoded: Tensor, speed: Tensor, rows: Rows) -> Tensor:
        """[B, L] int64: frames of each token, at least one; none in the padding."""
        logits = self.duration_proj.linear_layer(self.lstm(encoded, rows))
        lasting = torch.round(torch.sigmoid(logits).sum(-1) / speed[:, None]).clamp(min=1).long()
        return lasting if rows.even else lasting * rows.mask(UNIT, lasting.shape[1], torch.int64)[:, 0]

    def curves(self, spread: Tensor, style: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """Pitch and energy [B, 1, 2 T] of what `encoded` is when spread over frames, [B, T, 640]."""
        shared = self.shared(spread, rows).transpose(1, 2)
        pitch, energy = (
            self._curve(shared, style, rows, blocks, projection)
            for blocks, projection in ((self.F0, self.F0_proj), (self.N, self.N_proj))
        )
        return pitch, energy

    def _curve(self, x: Tensor, style: Tensor, rows: Rows, blocks: nn.ModuleList, projection: nn.Conv1d) -> Tensor:
        x = blocks[0](x, style, rows, UNIT, UNIT)
        x = blocks[1](x, style, rows, UNIT, _HALVES)
        x = blocks[2](x, style, rows, _HALVES, _HALVES)
        return rows.clear(projection(x), _HALVES)


def _curve_blocks() -> nn.ModuleList:
    return nn.ModuleList(
        [
            StyledBlock(HIDDEN, HIDDEN),
            StyledBlock(HIDDEN, HIDDEN // 2, doubles=True),
            StyledBlock(HIDDEN // 2, HIDDEN // 2),
        ]
    )


class Decoder(nn.Module):
    """From text features, pitch and energy to frames at 80 Hz; its generator makes samples of those."""

    def __init__(self) -> None:
        super().__init__()
        beside = _RESIDUAL + 2
        self.encode = StyledBlock(HIDDEN + 2, 1024)
        self.decode = nn.ModuleList(
            [StyledBlock(1024 + beside, 1024) for _ in range(3)] + [StyledBlock(1024 + beside, 512, doubles=True)]
        )
        self.F0_conv = nn.Conv1d(1, 1, 3, 2, padding=1)
        self.N_conv = nn.Conv1d(1, 1, 3, 2, padding=1)
        self.asr_res = nn.ModuleList([nn.Conv1d(HIDDEN, _RESIDUAL, 1)])
        self.generator = Generator()

    def frames(self, speech: Tensor, pitch: Tensor, energy: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """`speech` [B, 512, T], curves [B, 1, 2 T] -> [B, 512, 2 T], zero in the padding."""
        curves = torch.cat([self.F0_conv(pitch), self.N_conv(energy)], 1)
        x = self.encode(torch.cat([speech, curves], 1), style, rows, UNIT, UNIT)
        beside = torch.cat([self.asr_res[0](speech), curves], 1)
        for i, block in enumerate(self.decode):
            doubled = _HALVES if i == len(self.decode) - 1 else UNIT
            x = block(torch.cat([x, beside], 1), style, rows, UNIT, doubled)
        return rows.clear(x, _HALVES)


class Kokoro(nn.Module):
    """Kokoro-82M. A style is a row of a voice, [256]: the first half is for the sound, the second for the prosody."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = PhonemeBert()
        self.bert_encoder = nn.Linear(768, HIDDEN)
        self.predictor = Prosody()
        self.text_encoder = SpeechTextEncoder()
        self.decoder = Decoder()

    @torch.inference_mode()
    def encode(self, tokens: Tensor, styles: Tensor, speeds: Tensor, rows: Rows) -> Encoded:
        """`tokens` [B, L] with a pad at each end, `styles` [B, 256], `speeds` [B]; `rows` counts tokens."""
        manner = styles[:, STYLE:]
        context = self.bert_encoder(self.bert(tokens, rows))
        prosody = self.predictor.text_encoder(context, manner, rows)
        durations = self.predictor.durations(prosody, speeds, rows)
        return Encoded(prosody, self.text_encoder(tokens, rows), durations)

    @torch.inference_mode()
    def front(self, encoded: Encoded, styles: Tensor, rows: Rows, frames_max: int) -> AcousticFeatures:
        """`rows` counts frames of 25 ms: the sums of the durations, of which `frames_max` is the largest."""
        ends = encoded.durations.cumsum(1)
        positions = torch.arange(frames_max, device=ends.device).expand(len(ends), -1).contiguous()
        token = torch.searchsorted(ends, positions, right=True).clamp(max=ends.shape[1] - 1)[..., None]

        def spread(x: Tensor) -> Tensor:
            return rows.clear_tokens(x.gather(1, token.expand(-1, -1, x.shape[-1])))

        pitch, energy = self.predictor.curves(spread(encoded.prosody), styles[:, STYLE:], rows)
        speech = spread(encoded.speech).transpose(1, 2)
        frames = self.decoder.frames(speech, pitch, energy, styles[:, :STYLE], rows)
        return AcousticFeatures(frames, pitch[:, 0])

    @torch.inference_mode()
    def generate(self, features: AcousticFeatures, styles: Tensor, rows: Rows, seeds: Tensor | None) -> Tensor:
        """Samples [B, 600 T] float32; row b's own are the first `600 * rows.lengths[b]`."""
        generator = self.decoder.generator
        source = generator.source(features.pitch, seeds)
        samples: Tensor = generator(features.frames, source, styles[:, :STYLE], rows)
        return samples

    def large_convolutions(self) -> Iterator[Convolution | TransposedConvolution]:
        """Those of the decoder's frames and of the generator's blocks: nine tenths of all arithmetic."""
        generator = self.decoder.generator
        for part in (self.decoder.encode, self.decoder.decode, generator.ups, generator.noise_res, generator.resblocks):
            for module in part.modules():
                if isinstance(module, Convolution | TransposedConvolution):
                    yield module

    def lower(self, dtype: torch.dtype) -> None:
        """Convert the large convolutions to this type.

        Sums, norms and activations between them stay float32, and so does all that determines durations, pitch and
        phase: the first stage, the curves, the source and its spectra, the last convolution and the inverse transform.
        """
        for convolution in self.large_convolutions():
            convolution.to(dtype)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the reference implementation, weight norm folded.

        Raises:
            ValueError: some are missing, or have another shape.
        """
        own = self.state_dict()
        renamed = {_own_name(name): value for name, value in state.items()}
        missing = sorted(own.keys() - renamed.keys())
        if missing:
            raise ValueError(f"weights are missing: {', '.join(missing[:3])} and {len(missing)} in all")
        try:
            self.load_state_dict({name: renamed[name].reshape(own[name].shape) for name in own})
        except RuntimeError as error:
            raise ValueError(f"weights of another network: {error}") from error
        self.eval().requires_grad_(requires_grad=False)


def _own_name(name: str) -> str:
    """The parameter's name here: the reference's bidirectional LSTMs are two LSTMs, `ahead` and `back`."""
    path, dot, leaf = name.rpartition(".")
    if not leaf.startswith(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")):
        return name
    direction = "back" if leaf.endswith("_reverse") else "ahead"
    return f"{path}{dot}{direction}.{leaf.removesuffix('_reverse')}"


def convolution_dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    """The type of the large convolutions' weights, inputs and outputs on a device; their sums are float32.

    `auto` is half precision where the device has instructions for it: float16 on a GPU, because its rounding is an
    eighth of bfloat16's and nothing in the decoder comes near its largest number; bfloat16 on CPUs that have it.

    Raises:
        ValueError: the device is slower in this type than in float32.
    """
    match wanted:
        case Precision.AUTO if device.type == "cuda":
            return torch.float16
        case Precision.AUTO:
            return torch.bfloat16 if multiplies_bfloat16() else torch.float32
        case Precision.FLOAT32:
            return torch.float32
        case Precision.BFLOAT16:
            return torch.bfloat16
        case Precision.FLOAT16:
            if device.type != "cuda":
                raise ValueError("float16 takes a GPU")
            return torch.float16
        case _:
            assert_never(wanted)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions (AVX-512 BF16, AMX), and a torch that detects and uses them."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    onednn: Any = torch.backends.mkldnn
    if capabilities is None or not onednn.is_available():
        return False
    found: dict[str, object] = capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
