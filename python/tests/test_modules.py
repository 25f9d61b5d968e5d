"""Layouts, configs, groupings and modules: results against formulas written here."""

import pytest
import torch
from conftest import branches, gradients, random_inputs

import moga


def masked(q, k, v, same):
    """Dense attention in which query i sees key j where same[i, j]."""
    return torch.nn.functional.scaled_dot_product_attention(
        q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), attn_mask=same
    ).transpose(0, 1)


def same_group(number):
    return number[:, None] == number[None, :]


def video_of(layout):
    return torch.cat([torch.full((v.tokens,), i) for i, v in enumerate(layout.videos)])


def frame_of(layout):
    frames = torch.cat([torch.full((v.rows * v.columns,), 1) for v in layout.videos for _ in range(v.frames)])
    starts = [v.rows * v.columns for v in layout.videos for _ in range(v.frames)]
    return torch.repeat_interleave(torch.arange(len(starts)), torch.tensor(starts))[: len(frames)]


def test_full_frame_and_routed_groups_are_masks(layout):
    _, q, k, v = random_inputs(layout)
    routing = moga.Router(32, 3)(random_inputs(layout)[0], layout.numbers())
    for grouping, number in [
        (moga.full_groups(layout), video_of(layout)),
        (moga.frame_groups(layout), frame_of(layout)),
        (routing.grouping, video_of(layout) * 3 + routing.group),
    ]:
        output, _ = moga.attend(q, k, v, grouping)
        torch.testing.assert_close(output, masked(q, k, v, same_group(number)))


def test_captions_are_seen_by_their_shots_only():
    layout = moga.Layout.of(3, 2, 2, [1, 2])
    q = torch.randn(layout.tokens, 2, 16)
    k, v = torch.randn(2, 8, 2, 16)
    output, _ = moga.attend(q, k, v, moga.text_groups(layout, [3, 5]))
    shot = torch.arange(layout.tokens) // 4 >= 1
    caption = torch.arange(8) >= 3
    torch.testing.assert_close(output, masked(q, k, v, shot[:, None] == caption[None, :]))


@pytest.mark.parametrize("gate", ["probability", "straight_through", "none"])
def test_visual_attention_is_the_mean_of_its_branches(layout, gate):
    attention = moga.VisualAttention(32, moga.Config(groups=3, gate=gate))
    groups = attention.groups(layout)
    x, q, k, v = random_inputs(layout)
    output, loss = attention(x, q, k, v, groups)
    p = torch.softmax(torch.nn.functional.linear(x, attention.router.weight, attention.router.bias), 1)
    top, number = p.max(1)
    routed, _ = moga.attend(q, k, v, moga.routed_groups(number, 3, layout.numbers()))
    scale = top[:, None, None] if gate == "probability" else 1
    expected = (moga.attend(q, k, v, groups.window)[0] + moga.attend(q, k, v, groups.frame)[0] + scale * routed) / 3
    torch.testing.assert_close(output, expected)
    if gate == "probability":
        for ours, theirs in zip(gradients(output.sum(), [x, q]), gradients(expected.sum(), [x, q]), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_union_of_disjoint_branches_is_one_softmax(layout):
    _, q, k, v = random_inputs(layout)
    number = torch.arange(layout.tokens) % 2
    rest = moga.routed_groups(1 - number, 2, layout.numbers())
    own = moga.routed_groups(number, 2, layout.numbers())
    swapped = moga.Grouping(own.rows[:4] + rest.rows[4:], own.sizes)  # queries of one half, keys of the other
    output, _ = moga.attend_union(q, k, v, [own, swapped])
    torch.testing.assert_close(output, moga.attend(q, k, v, moga.full_groups(layout))[0], rtol=1e-4, atol=1e-5)


def test_the_balance_loss_is_one_at_balance_and_has_a_gradient(layout):
    router = moga.Router(32, 4)
    torch.nn.init.zeros_(router.weight)
    x = random_inputs(layout)[0]
    routing = router(x, layout.numbers())
    assert moga.balance_loss(routing, layout.numbers()).item() == pytest.approx(1.0)
    moga.balance_loss(routing, layout.numbers()).backward()
    assert router.bias.grad is not None


def test_configs_keep_the_names_of_config_json_and_refuse_others():
    config = moga.Config(groups=20, windows=moga.Windows(4, 4), full_layers=(0, 1), combine="lse")
    assert moga.Config.from_dict(config.to_dict()) == config
    assert config.of_layer(1).kind == "full" and config.of_layer(2) is config
    with pytest.raises(ValueError, match="unknown key 'group'; did you mean 'groups'"):
        moga.Config.from_dict({"group": 5})
    with pytest.raises(ValueError, match="gate 'nine' is not one of probability, straight_through, none"):
        moga.Config(gate="nine")
    with pytest.raises(ValueError, match="shots have 4 latent frames in all, the video has 5"):
        moga.Layout.of(5, 2, 2, [2, 2])


def test_errors_of_the_library_are_one_line(layout):
    _, q, k, v = random_inputs(layout)
    with pytest.raises(RuntimeError, match=r"groups have 144 query rows, there are only 10"):
        moga.attend(q[:10], k, v, branches(layout)[2])
    with pytest.raises(RuntimeError, match="attention backend sm90 serves"):
        moga.attend(q, k, v, moga.full_groups(layout), "sm90")
