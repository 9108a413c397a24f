"""Kokoro-82M in torch: three stages, each over a batch of unequal rows that are computed as if each were alone.

Layout and names of parameters are those of the reference implementation (https://github.com/hexgrad/kokoro, 0.9.4),
weight norm folded. StyleTTS 2 (Li et al. 2023) describes the architecture, iSTFTNet (Kaneko et al. 2022) the vocoder.
"""
