"""The vocoder's noise, which depends on seed and position alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from voxwire_server.engines.kokoro.model.vocoder import gaussian  # noqa: E402


def test_noise_is_normal():
    noise = gaussian(torch.tensor([1, -3, 2**62]), 200_001).double()
    assert noise.mean(1).abs().max() < 0.01
    assert (noise.std(1) - 1).abs().max() < 0.01
    assert noise.pow(4).mean(1).sub(3).abs().max() < 0.1


def test_a_row_depends_on_its_own_seed_alone():
    together = gaussian(torch.tensor([5, 6, 7]), 1000)
    assert torch.equal(together[1:2], gaussian(torch.tensor([6]), 1000))


def test_a_shorter_row_is_the_beginning_of_a_longer_one():
    assert torch.equal(gaussian(torch.tensor([9]), 101), gaussian(torch.tensor([9]), 5000)[:, :101])


def test_neighbouring_seeds_and_neighbouring_samples_are_not_alike():
    noise = gaussian(torch.arange(8), 100_000)
    alike = torch.corrcoef(noise) - torch.eye(8)
    assert alike.abs().max() < 0.02
    assert torch.corrcoef(torch.stack([noise[0, 1:], noise[0, :-1]]))[0, 1].abs() < 0.02
