"""LeRobot's units and calibration files of the SO arms."""

import json
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mjxsim import files
from mjxsim.rendering import NoRendererError
from mjxsim.robots.lerobot import (
    JOINTS,
    Calibration,
    CalibrationError,
    LeRobotUnits,
    MotorCalibration,
    from_features,
    to_features,
)
from mjxsim.robots.so100.constants import SO100, SO100_UNITS
from mjxsim.robots.so101.constants import SO101, SO101_UNITS

UNITS = pytest.mark.parametrize("units", (SO100_UNITS, SO101_UNITS), ids=("so100", "so101"))
angles = hnp.arrays(np.float64, (6,), elements=st.floats(-3.5, 3.5))

# The shape of what `lerobot-calibrate` writes for a follower; the roll spans a turn.
EXAMPLE = {
    "shoulder_pan": (1, 0, -1470, 884, 3320),
    "shoulder_lift": (2, 0, 157, 756, 3353),
    "elbow_flex": (3, 0, 1042, 868, 3061),
    "wrist_flex": (4, 0, 1992, 805, 3153),
    "wrist_roll": (5, 0, -64, 0, 4095),
    "gripper": (6, 0, -811, 1899, 3363),
}
FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")


def example() -> dict[str, dict[str, int]]:
    return {name: dict(zip(FIELDS, row, strict=True)) for name, row in EXAMPLE.items()}


def calibration(**changes: int) -> Calibration:
    """The example, with fields of the gripper replaced."""
    value = example()
    value["gripper"] |= changes
    return Calibration.from_json(json.dumps(value))


# Units.


@UNITS
@settings(deadline=None)
@given(q=angles)
def test_units_round_trip(units: LeRobotUnits, q: np.ndarray) -> None:
    np.testing.assert_allclose(units.to_radians(units.from_radians(q)), q, atol=1e-12)
    np.testing.assert_allclose(units.from_radians(units.to_radians(40 * q)), 40 * q, atol=1e-10)


@UNITS
@settings(deadline=None)
@given(q=hnp.arrays(np.float32, (2, 6), elements=st.floats(-3.5, 3.5, width=32)))
def test_jax_and_numpy_agree(units: LeRobotUnits, q: np.ndarray) -> None:
    values = units.from_radians(jnp.asarray(q))
    assert values.dtype == jnp.float32
    assert not values.weak_type
    # 200 degrees with 24 bits, through one subtraction that may cancel.
    np.testing.assert_allclose(values, units.from_radians(q.astype(float)), atol=1e-4)
    np.testing.assert_allclose(units.to_radians(values), q, atol=2e-6)


@pytest.mark.parametrize(("spec", "units"), ((SO100, SO100_UNITS), (SO101, SO101_UNITS)))
def test_gripper_is_0_closed_and_100_open(spec, units: LeRobotUnits) -> None:
    low, high = spec.load().compile().joint("gripper").range
    q = np.array(spec.home_qpos)
    for angle, value in ((low, 0.0), (high, 100.0), (spec.arm.gripper_open_ctrl, 50.0)):
        q[5] = angle
        assert units.from_radians(q)[5] == pytest.approx(value, abs=0.01)


def test_signs_and_zeros_by_example() -> None:
    home = SO100_UNITS.from_radians(np.array(SO100.home_qpos))
    np.testing.assert_allclose(home, (0, -24.6, 27.9, 86.7, 0, 50), atol=0.1)
    home = SO101_UNITS.from_radians(np.array(SO101.home_qpos))
    np.testing.assert_allclose(home, (-0.1, -21.3, 25.4, 85.9, 2.7, 50), atol=0.1)
    # LeRobot's pan turns clockwise seen from above: the menagerie's SO100 the other way.
    assert SO100_UNITS.from_radians(np.array([0.1, 0, 0, 0, 0, 0]))[0] < 0
    assert SO101_UNITS.from_radians(np.array([0.1, 0, 0, 0, 0, 0]))[0] > 0


@settings(deadline=None)
@given(q=angles)
def test_features_round_trip(q: np.ndarray) -> None:
    features = to_features(q)
    assert list(features) == [f"{name}.pos" for name in JOINTS]
    np.testing.assert_array_equal(from_features({**features, "front": 0.0}), q)


def test_missing_feature_is_named() -> None:
    features = to_features(np.zeros(6))
    del features["elbow_flex.pos"]
    with pytest.raises(ValueError, match=r"feature 'elbow_flex.pos' is missing") as error:
        from_features(features)
    assert "\n" not in str(error.value)


# Ticks.


def lerobot_normalize(motor: MotorCalibration, ticks: int, gripper: bool) -> float:
    """What lerobot/motors/motors_bus.py, `_normalize`, computes for one motor."""
    if not gripper:
        return (ticks - (motor.range_min + motor.range_max) / 2) * 360 / 4095
    bounded = min(motor.range_max, max(motor.range_min, ticks))
    share = (bounded - motor.range_min) / (motor.range_max - motor.range_min) * 100
    return 100 - share if motor.drive_mode else share


def lerobot_unnormalize(motor: MotorCalibration, value: float, gripper: bool) -> int:
    """The same of `_unnormalize`."""
    if not gripper:
        return int(value * 4095 / 360 + (motor.range_min + motor.range_max) / 2)
    value = 100 - value if motor.drive_mode else value
    bounded = min(100.0, max(0.0, value))
    return int(bounded / 100 * (motor.range_max - motor.range_min) + motor.range_min)


@pytest.mark.parametrize("drive_mode", (0, 1))
@settings(deadline=None)
@given(ticks=hnp.arrays(np.int64, (3, 6), elements=st.integers(0, 4095)))
def test_ticks_mean_what_they_mean_to_lerobot(drive_mode: int, ticks: np.ndarray) -> None:
    c = calibration(drive_mode=drive_mode)
    values = c.from_ticks(ticks)
    motors = list(c.motors.values())
    for row, got in zip(ticks, values, strict=True):
        want = [lerobot_normalize(motors[i], int(row[i]), i == 5) for i in range(6)]
        np.testing.assert_allclose(got, want, atol=1e-9)
    back = c.to_ticks(values)
    for row, got in zip(values, back, strict=True):
        want = [lerobot_unnormalize(motors[i], row[i], i == 5) for i in range(6)]
        assert np.abs(got - want).max() <= 1  # both cut off fractions, of numbers that may differ
    inside = ticks.copy()
    inside[:, 5] = np.clip(ticks[:, 5], c.motors["gripper"].range_min, 3363)
    assert np.abs(back - inside).max() <= 1


def test_middle_is_zero_and_ends_are_0_and_100() -> None:
    c = calibration()
    middle = np.array([(m.range_min + m.range_max) / 2 for m in c.motors.values()])
    np.testing.assert_allclose(c.from_ticks(middle), (0, 0, 0, 0, 0, 50))
    low = np.array([m.range_min for m in c.motors.values()])
    assert c.from_ticks(low)[5] == 0.0
    assert c.from_ticks(low - 100)[5] == 0.0
    assert c.to_ticks(np.array([0, 0, 0, 0, 0, 150.0]))[5] == 3363


# Files.


def motors() -> st.SearchStrategy[Calibration]:
    ticks = st.tuples(st.integers(0, 2000), st.integers(2001, 4095))

    def build(rows: list[tuple[int, int, tuple[int, int]]]) -> Calibration:
        entries = {
            name: MotorCalibration(i + 1, drive, offset, *limits)
            for i, (name, (drive, offset, limits)) in enumerate(zip(JOINTS, rows, strict=True))
        }
        return Calibration(entries)

    row = st.tuples(st.integers(0, 1), st.integers(-2047, 2047), ticks)
    return st.lists(row, min_size=6, max_size=6).map(build)


@settings(deadline=None)
@given(written=motors())
def test_json_round_trip(written: Calibration) -> None:
    assert Calibration.from_json(written.to_json()) == written


def test_file_round_trip_and_layout(tmp_path: Path) -> None:
    path = tmp_path / "my_follower.json"
    calibration().write(path)
    assert Calibration.read(path) == calibration()
    assert json.loads(path.read_text()) == example()
    assert list(json.loads(path.read_text())) == list(JOINTS)
    assert path.read_text().splitlines()[1:3] == ['    "shoulder_pan": {', '        "id": 1,']


def test_order_in_the_file_does_not_matter() -> None:
    shuffled = dict(reversed(example().items()))
    assert list(Calibration.from_json(json.dumps(shuffled)).motors) == list(JOINTS)


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "arm.json"
    calibration().write(path)

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        calibration(range_max=3000).write(path)
    assert Calibration.read(path) == calibration()
    assert [p.name for p in tmp_path.iterdir()] == ["arm.json"]


def without(motor: str) -> dict:
    return {name: entry for name, entry in example().items() if name != motor}


def with_gripper(**changes: object) -> dict:
    return {**example(), "gripper": {**example()["gripper"], **changes}}


@pytest.mark.parametrize(
    ("value", "message"),
    (
        (without("elbow_flex"), "motor 'elbow_flex' is missing"),
        ({**example(), "elbow": {}}, "motor 'elbow' must|unknown motor 'elbow'|field 'id'"),
        (
            {**without("gripper"), "griper": example()["gripper"]},
            "unknown motor 'griper': did you mean 'gripper'",
        ),
        (with_gripper(range_min="12"), "motor 'gripper': range_min must be an integer, got \"12\""),
        (with_gripper(range_min=True), "range_min must be an integer, got true"),
        (with_gripper(range_min=12.5), "range_min must be an integer, got 12.5"),
        (with_gripper(range_minimum=12), "unknown field 'range_minimum': did you mean 'range_mi"),
        ({**example(), "gripper": {"id": 6}}, "motor 'gripper': field 'drive_mode' is missing"),
        ({**example(), "gripper": 3}, "motor 'gripper' must be an object, got int"),
        (with_gripper(range_min=3363), "range_min must be less than range_max, got 3363 and 3363"),
        (with_gripper(drive_mode=2), "drive_mode must be 0 or 1, got 2"),
        (with_gripper(id=5), r"different ids, got \[1, 2, 3, 4, 5, 5\]"),
        ([], "must be an object of motors by name, got list"),
    ),
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, value: object, message: str) -> None:
    path = tmp_path / "arm.json"
    path.write_text(json.dumps(value))
    with pytest.raises(CalibrationError, match=message) as error:
        Calibration.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    ((b"{", "not JSON: "), (b"", "not JSON: "), (b"\xff\xfe\x00", "can't decode byte")),
)
def test_a_torn_file_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "arm.json"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match=message) as error:
        Calibration.read(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"cannot read calibration .*nothing.json: No such"):
        Calibration.read(tmp_path / "nothing.json")


# docs/so_arms.md.

PAGE = (Path(__file__).parents[1] / "docs" / "so_arms.md").read_text("utf-8")


@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.M))
def test_page_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(code, "docs/so_arms.md", "exec"), {"__name__": "docs"})
    except NoRendererError as error:
        pytest.skip(f"ran up to the picture: {error}")
    (written,) = tmp_path.iterdir()
    assert written.stat().st_size > 500


@pytest.mark.parametrize("index", range(6))
def test_page_states_the_joints(index: int) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{JOINTS[index]}`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    named = {"-pi/2": -np.pi / 2, "pi/2": np.pi / 2, "0": 0.0}
    for first, (spec, units) in ((1, (SO100, SO100_UNITS)), (4, (SO101, SO101_UNITS))):
        joint = spec.load().compile().joint(JOINTS[index])
        assert [float(x) for x in cells[first].split("..")] == pytest.approx(list(joint.range))
        if index < 5:
            assert int(cells[first + 1]) == units.sign[index]
            assert named[cells[first + 2]] == units.zero[index]
