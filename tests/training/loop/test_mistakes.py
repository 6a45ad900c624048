from __future__ import annotations

import torch

from training.loop.recurrent import mistaken


def squares(objects=3, side=24):
    masks = torch.zeros(1, objects, side, side)
    for n in range(objects):
        masks[0, n, 2 + 7 * n : 8 + 7 * n, 3:12] = 1
    return masks


def made(seed, share=1.0, earlier=True):
    masks = squares()
    past = [masks.roll(3, 3)] if earlier else []
    return masks, mistaken(masks, past, share, torch.Generator().manual_seed(seed))


def test_nothing_is_wrong_where_nothing_is_to_be():
    masks, same = made(0, share=0.0)
    assert torch.equal(masks, same)


def test_masks_go_wrong_in_many_ways_and_no_pixel_is_owned_twice():
    ways = set()
    for seed in range(40):
        masks, wrong = made(seed)
        assert wrong.min() >= 0
        assert wrong.sum(1).max() <= 1 + 1e-6
        for n in range(3):
            before, after = masks[0, n], wrong[0, n]
            inside, outside = float((after * before).sum() / before.sum()), float((after * (1 - before)).sum())
            ways.add((inside > 0.99, inside < 0.01, outside > 0))
    assert len(ways) >= 4  # grown, cut, moved, gone to another's place


def test_the_same_seed_makes_the_same_mistakes_and_others_stay():
    (masks, one), (_, two) = made(3, share=0.3), made(3, share=0.3)
    assert torch.equal(one, two)
    untouched = [n for n in range(3) if torch.equal(one[0, n], masks[0, n])]
    assert untouched or not torch.equal(one, masks)


def test_without_a_past_an_old_mask_is_todays():
    for seed in range(10):
        assert made(seed, earlier=False)[1].isfinite().all()
