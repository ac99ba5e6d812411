import itertools

import pytest
import torch

from lightly_marlin.transforms.step_generator import step_generator


def draw(*arguments, **options):
    return torch.rand(8, generator=step_generator(*arguments, **options)).tolist()


def test_step_generator__same_arguments_same_numbers():
    assert draw(3, 5, 1, stream=1) == draw(3, 5, 1, stream=1)


def test_step_generator__every_argument_matters():
    arguments = [*itertools.product((0, 1, 2), repeat=4)]
    drawn = {tuple(draw(*rest, stream=stream)) for *rest, stream in arguments}
    assert len(drawn) == len(arguments)


@pytest.mark.parametrize(
    ("arguments", "seed"),
    [((0, 0, 0), 7896617691693857887), ((1, 2, 3), 6498626229777268288)],
)
def test_step_generator__masks_of_earlier_versions_stay(arguments, seed):
    assert step_generator(*arguments).initial_seed() == seed


def test_step_generator__leaves_the_global_one_alone():
    state = torch.get_rng_state()
    draw(0, 0)
    assert torch.equal(torch.get_rng_state(), state)
