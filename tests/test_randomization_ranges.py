"""Ranges: what is drawn lies where it was asked, at every width."""

import dataclasses
import json
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

import mjxsim
from mjxsim import codec
from mjxsim.randomization import How, Law, MaybeRange, Range, check_range

SIZE = 64
HOWS, LAWS = get_args(How), get_args(Law)

_number = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
_positive = st.floats(2.0**-10, 1e3, width=32)
_width = st.floats(0.0, 1.0, width=32)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    how, law = draw(st.sampled_from(HOWS)), draw(st.sampled_from(LAWS))
    number = _positive if how == "scale" or law == "loguniform" else _number
    low, high = sorted((draw(number), draw(number)))
    return Range(low, high, how, law)


def drawn(given_range: Range, nominal: float, width: float, seed: int) -> np.ndarray:
    return np.asarray(
        given_range.draw(jax.random.key(seed), jnp.full(SIZE, nominal, jnp.float32), width)
    )


@given(ranges(), _number, _width, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_draws_lie_between_nominal_and_range(
    r: Range, nominal: float, width: float, seed: int
) -> None:
    value = drawn(r, nominal, width, seed)
    low, high = r.bounds(nominal)
    slack = 1e-6 * max(abs(low), abs(high), abs(nominal))  # float32: a few ulp
    assert (value >= min(low, nominal) - slack).all()
    assert (value <= max(high, nominal) + slack).all()
    assert value.dtype == np.float32


@given(ranges(), _number, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_width_one_is_the_range_and_zero_is_nominal(r: Range, nominal: float, seed: int) -> None:
    whole, none = drawn(r, nominal, 1.0, seed), drawn(r, nominal, 0.0, seed)
    low, high = r.bounds(nominal)
    slack = 1e-6 * max(abs(low), abs(high), abs(nominal))
    assert (whole >= low - slack).all()
    assert (whole <= high + slack).all()
    np.testing.assert_array_equal(none, np.full(SIZE, nominal, np.float32))


@given(ranges(), _number, _width, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_a_narrower_range_stays_within_a_wider_one(
    r: Range, nominal: float, width: float, seed: int
) -> None:
    """The same draw comes nearer to nominal, on its own side of it, as the width falls."""
    far = drawn(r, nominal, 1.0, seed) - np.float32(nominal)
    near = drawn(r, nominal, width, seed) - np.float32(nominal)
    slack = 1e-5 * max(1e-6, np.abs(far).max(), abs(nominal))
    assert (near * np.sign(far) >= -slack).all()
    assert (np.abs(near) <= np.abs(far) + slack).all()


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("law", LAWS)
def test_laws_have_their_moments(how: How, law: Law) -> None:
    """Mean and spread of 20,000 draws, within five standard errors of what the law says."""
    r, n = Range(0.5, 2.0, how, law), 20_000
    value = np.asarray(r.draw(jax.random.key(1), jnp.full(n, 3.0)), float)
    value = {"absolute": value, "scale": value / 3.0, "add": value - 3.0}[how]
    if law == "loguniform":
        value, low, high = np.log(value), np.log(0.5), np.log(2.0)
    else:
        low, high = 0.5, 2.0
    # A normal cut off at two standard deviations keeps 0.8796 of its deviation.
    spread = 0.25 * 0.8796 if law == "gaussian" else 12**-0.5
    spread *= high - low
    assert abs(value.mean() - 0.5 * (low + high)) < 5 * spread / n**0.5
    assert value.std() == pytest.approx(spread, rel=5 * n**-0.5)


def test_width_may_be_traced_and_compiles_once() -> None:
    r = Range(0.5, 2.0, "scale", "loguniform")
    traces = []

    def draw(width: jax.Array) -> jax.Array:
        traces.append(1)
        return r.draw(jax.random.key(0), jnp.float32(3.0), width)

    compiled = mjxsim.jit(draw)
    values = [float(compiled(jnp.float32(w))) for w in (0.0, 0.25, 0.5, 1.0)]
    assert len(traces) == 1
    assert values[0] == 3.0
    # Loguniform opens in the logarithm: half a width is the square root of the factor.
    np.testing.assert_allclose(values[2] / 3.0, (values[3] / 3.0) ** 0.5, rtol=1e-6)


def test_shape_says_which_entries_share_a_draw() -> None:
    r, key, nominal = Range(-1.0, 1.0, "add"), jax.random.key(0), jnp.zeros((4, 3))
    assert len(np.unique(r.draw(key, nominal))) == 12
    rows = r.draw(key, nominal, 1.0, (4, 1))
    assert rows.shape == (4, 3)
    assert len(np.unique(rows)) == 4
    assert len(np.unique(r.draw(key, nominal, 1.0, ()))) == 1


@given(ranges())
@settings(max_examples=40, deadline=None)
def test_json_and_back(r: Range) -> None:
    assert codec.decode(Range, json.loads(json.dumps(codec.encode(r)))) == r


@dataclasses.dataclass(frozen=True)
class Two:
    on: MaybeRange = Range(1 / 3, 2.0, "scale", "gaussian")
    off: MaybeRange = None


def test_a_flag_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    def parse(*flags: str) -> Two:
        return tyro.cli(Two, default=Two(), args=list(flags))

    assert parse() == Two()
    assert parse("--off", "-0.1,0.1,add", "--on", "none") == Two(None, Range(-0.1, 0.1, "add"))
    assert parse("--off=0.5,2,scale,loguniform").off == Range(0.5, 2.0, "scale", "loguniform")
    for wrong, message in (("0.5,2", "LOW,HIGH,HOW"), ("2,1,add", "low must not exceed high")):
        with pytest.raises(SystemExit):
            parse("--off", wrong)
        assert message in capsys.readouterr().err


def test_a_range_that_may_be_off_goes_to_json_and_back() -> None:
    for value in (Two(), Two(None, Range(0.0, 1.0))):
        assert codec.decode(Two, json.loads(json.dumps(codec.encode(value)))) == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        ((2.0, 0.5), "range [2.0, 0.5]: low must not exceed high"),
        ((0.0, 1.0, "absolute", "loguniform"), "a loguniform range needs low above 0"),
        ((-0.5, 1.0, "scale"), "a factor (how='scale') must not be negative"),
        ((float("nan"), 1.0), "low must be a finite number, got nan"),
        ((0.0, float("inf")), "high must be a finite number, got inf"),
        ((0.0, "1"), "high must be a finite number, got '1'"),
        ((0.0, 1.0, "factor"), "how must be one of absolute, scale, add, got 'factor'"),
        ((0.0, 1.0, "add", "normal"), "law must be one of uniform, loguniform, gaussian"),
    ),
)
def test_a_bad_range_is_one_clear_line(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Range(*arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_check_range_looks_at_what_the_range_gives() -> None:
    masses = np.array([0.1, 0.5])
    check_range("mass", None, above=0.0)
    check_range("mass", Range(-0.05, 1.0, "add"), above=0.0, nominal=masses)
    with pytest.raises(ValueError, match=r"mass \[-0.1, 1.0\]: added amounts must keep it above 0"):
        check_range("mass", Range(-0.1, 1.0, "add"), above=0.0, nominal=masses)
    with pytest.raises(ValueError, match=r"share \[0.5, 3.0\]: factors must not make it more than"):
        check_range("share", Range(0.5, 3.0, "scale"), most=1.0, nominal=masses)
    with pytest.raises(ValueError, match="how must be one of scale, got 'add'"):
        check_range("gain", Range(0.5, 3.0, "add"), hows=("scale",))
