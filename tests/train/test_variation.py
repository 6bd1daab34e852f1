"""Noise and differences within a class: their size is what it is said to be."""

import numpy as np
import pytest
import torch

from meshconv.train.variation import class_variation, noisy


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 4, 4)], ids=["images", "by density"])
def test_what_is_added_varies_as_the_images_do_within_their_class(shape):
    rng = _generator(1)
    strata = torch.arange(40) % 2
    spread = torch.rand(shape, generator=rng) + 0.5
    images = spread * torch.randn(40, *shape, generator=rng) + 50.0 * strata.reshape(
        -1, *[1] * len(shape)
    )
    added = class_variation(images, strata, 60000, scale=0.7, generator=_generator())
    within = [images[strata == k].var(dim=0, correction=0) for k in (0, 1)]
    expected = 0.7**2 * torch.stack(within).mean(dim=0)
    np.testing.assert_allclose(added.var(dim=0), expected, rtol=0.06)  # not 2 or 1/2 times
    assert added.mean(dim=0).abs().max() < 0.05


def test_an_image_that_is_alone_in_its_class_is_left_as_it_is():
    images = torch.randn(3, 1, 4, 4, generator=_generator())
    alone = class_variation(images, torch.arange(3), 50, scale=1.0, generator=_generator())
    assert not alone.any()


@pytest.mark.parametrize(("channels", "with_noise"), [(2, 2), (None, 3)])
def test_noise_is_on_the_image_and_not_on_the_coordinates(channels, with_noise):
    seen = torch.zeros(50, 2, 3, 9, 9)
    found = noisy(seen, channels, noise=0.3, generator=_generator())
    assert found.shape == seen.shape and not found[:, :, with_noise:].any()
    np.testing.assert_allclose(found[:, :, :with_noise].std(), 0.3, rtol=0.02)
    assert noisy(seen, channels, noise=0.0, generator=_generator()) is seen
