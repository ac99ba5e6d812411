import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from lightly_marlin.models import EmaTeacher, MarlinEncoder, linear_momentum


class Small(nn.Module):
    """A layer, a fixed table, batch norm, and dropout."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.table = nn.Parameter(torch.randn(7, 4), requires_grad=False)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.norm(self.layer(x)))


@pytest.fixture
def student():
    torch.manual_seed(0)
    return Small()


def train_a_little(module):
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


def test_equals_the_closed_form_in_float64_after_100_steps(student):
    """k_t = prod(m) k_0 + sum_s (1 - m_s) prod(m after s) q_s."""
    teacher = EmaTeacher(student)
    names = [name for name, p in student.named_parameters() if p.requires_grad]
    start = {name: p.double() for name, p in student.named_parameters()}
    momenta = [linear_momentum(step, 100, start=0.9) for step in range(100)]
    seen = []
    for momentum in momenta:
        train_a_little(student)
        seen.append({n: p.detach().double() for n, p in student.named_parameters()})
        teacher.update(student, momentum)
    left = torch.tensor(momenta, dtype=torch.float64).flip(0).cumprod(0).flip(0)
    rest = torch.cat([left[1:], left.new_ones(1)])
    for name in names:
        expected = left[0] * start[name]
        for value, momentum, factor in zip(seen, momenta, rest, strict=True):
            expected = expected + (1 - momentum) * factor * value[name]
        found = dict(teacher.module.named_parameters())[name].double()
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("momentum", [0.996, 0.9999])
def test_fixed_tables_and_equal_values_stay_bit_equal(student, momentum):
    teacher = EmaTeacher(student)
    for _ in range(1000):
        teacher.update(student, momentum)
    for name, value in student.state_dict().items():
        assert torch.equal(teacher.module.state_dict()[name], value), name


def test_parameters_without_gradient_keep_their_first_values(student):
    teacher = EmaTeacher(student)
    table = student.table.clone()
    student.table.data.zero_()
    teacher.update(student, 0.0)
    assert torch.equal(teacher.module.table, table)


def test_ends_of_the_momentum(student):
    teacher = EmaTeacher(student)
    before = copy.deepcopy(teacher.module.state_dict())
    train_a_little(student)
    teacher.update(student, 1)
    assert torch.equal(teacher.module.layer.weight, before["layer.weight"])
    teacher.update(student, 0)
    assert torch.equal(teacher.module.layer.weight, student.layer.weight)


def test_buffers_are_copied(student):
    teacher = EmaTeacher(student)
    student(torch.randn(8, 4) + 3)
    assert not torch.equal(teacher.module.norm.running_mean, student.norm.running_mean)
    teacher.update(student, 0.999)
    assert torch.equal(teacher.module.norm.running_mean, student.norm.running_mean)
    assert teacher.module.norm.num_batches_tracked == 1


def test_stays_in_evaluation_mode_within_a_model(student):
    teacher = EmaTeacher(student)
    model = nn.ModuleDict({"student": student, "teacher": teacher}).train()
    assert student.training
    assert not any(module.training for module in model["teacher"].modules())
    clips = torch.randn(5, 4)
    assert torch.equal(teacher(clips), teacher(clips))


def test_no_gradient_reaches_it(student):
    teacher = EmaTeacher(student)
    x = torch.randn(5, 4, requires_grad=True)
    out = teacher(x)
    assert not out.requires_grad
    assert out.grad_fn is None
    assert not any(p.requires_grad for p in teacher.parameters())
    assert student.layer.weight.requires_grad
    assert student.training


def test_update_leaves_the_student_alone(student):
    teacher = EmaTeacher(student)
    train_a_little(student)
    student(torch.randn(5, 4)).sum().backward()
    before = copy.deepcopy(student.state_dict())
    gradient = student.layer.weight.grad.clone()
    teacher.update(student, 0.9)
    assert torch.equal(student.layer.weight.grad, gradient)
    assert all(torch.equal(before[n], v) for n, v in student.state_dict().items())


def test_all_tokens_of_the_unmasked_clip(toy, toy_videos):
    """With `encode`, a call returns the tokens that latent prediction needs."""
    student = MarlinEncoder(toy)
    teacher = EmaTeacher(student, method="encode")
    tokens = teacher(toy_videos)
    assert tokens.shape == (2, 32, 24)
    torch.testing.assert_close(tokens, student.eval().encode(toy_videos))
    idx_keep = torch.tensor([[3, 5], [0, 1]])
    assert teacher(toy_videos, idx_keep=idx_keep).shape == (2, 2, 24)


def test_a_state_dict_continues_bit_for_bit(student):
    def go_on(teacher, module):
        torch.manual_seed(1)
        for _ in range(3):
            train_a_little(module)
            teacher.update(module, 0.9)
        return teacher.state_dict()

    teacher = EmaTeacher(student)
    train_a_little(student)
    teacher.update(student, 0.9)
    resumed_student, resumed = Small(), EmaTeacher(Small())
    resumed_student.load_state_dict(student.state_dict())
    resumed.load_state_dict(teacher.state_dict())
    expected, found = go_on(teacher, student), go_on(resumed, resumed_student)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_refuses_weights_of_16_bits(student, dtype):
    message = rf"Invalid dtype of .* \({dtype}\).*use autocast"
    with pytest.raises(ValueError, match=message):
        EmaTeacher(copy.deepcopy(student).to(dtype))
    teacher = EmaTeacher(student)
    with pytest.raises(ValueError, match=message):
        teacher.update(copy.deepcopy(student).to(dtype), 0.9)
    with pytest.raises(ValueError, match=message):
        teacher.to(dtype).update(student, 0.9)


def test_errors(student):
    with pytest.raises(ValueError, match=r"method \('encode'\). Small has none"):
        EmaTeacher(student, method="encode")
    teacher = EmaTeacher(student)
    for momentum in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"Invalid momentum .* in \[0, 1\]"):
            teacher.update(student, momentum)
    with pytest.raises(ValueError, match=r"0.layer.bias, .* without a wrapper"):
        teacher.update(nn.Sequential(student), 0.9)
    student.register_buffer("count", torch.zeros(()))
    with pytest.raises(ValueError, match="Invalid module: count in only one"):
        teacher.update(student, 0.9)


def test_linear_momentum__of_v_jepa():
    """It ends at 0.9996, a fifth before 1."""
    values = [linear_momentum(step, 1000) for step in (0, 500, 1000, 1250, 9999)]
    assert values == pytest.approx([0.998, 0.9988, 0.9996, 1.0, 1.0], abs=1e-12)
    assert linear_momentum(50, 100, 0.996, 1.0, stretch=1.0) == pytest.approx(0.998)


def test_linear_momentum__cosine_alternative_has_the_same_ends():
    assert cosine_schedule(0, 100, 0.996, 1.0) == linear_momentum(0, 100, 0.996)
    assert cosine_schedule(99, 100, 0.996, 1.0) == 1.0


@settings(max_examples=50, deadline=None)
@given(
    step=st.integers(0, 10_000),
    total=st.integers(1, 5_000),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_linear_momentum__stays_between_its_ends(step, total, ends):
    low, high = sorted(ends)
    assert low - 1e-12 <= linear_momentum(step, total, *ends) <= high + 1e-12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10), "Invalid step -1: must be at least 0"),
        ((0, 0), "Invalid total_steps 0: must be at least 1"),
        ((0, 1, 1.5), r"Invalid start 1.5: must be in \[0, 1\]"),
        ((0, 1, 0.5, -1.0), r"Invalid end -1.0: must be in \[0, 1\]"),
        ((0, 1, 0.5, 1.0, 0.0), "Invalid stretch 0.0: must be positive"),
    ],
)
def test_linear_momentum__errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear_momentum(*arguments)
