"""Human input of gym-hil's environments, through a device that says what a test wants."""

import json
import pathlib
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest

devices = pytest.importorskip("mjxsim.teleop.devices")

from mjxsim.compat.gym_hil import human  # noqa: E402
from mjxsim.compat.gym_hil.factory import make_env  # noqa: E402

if TYPE_CHECKING:
    from mjxsim.teleop.devices import Command

POLICY = np.array([0.5, 0.0, 0.0, 1.0], np.float32)


class Fake:
    """A device that gives what is in `commands`, and holds still when they are used up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands: list[Command] = []
        self.said: list[str] = []
        self.closed = False

    def poll(self) -> "Command":
        return self.commands.pop(0) if self.commands else devices.Command()

    def messages(self) -> tuple[str, ...]:
        said, self.said = tuple(self.said), []
        return said

    def help(self) -> tuple[str, ...]:
        return ("anything: a test",)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def made() -> tuple[gymnasium.Env[Any, np.ndarray], Fake]:
    fakes: list[Fake] = []

    def device(name: str) -> Fake:
        fakes.append(Fake(name))
        return fakes[-1]

    env = make_env(
        "gym_hil/PandaPickCubeBase-v0",
        control_mode="spacemouse",
        reset_delay_seconds=0.0,
        make_device=device,
    )
    return env, fakes[-1]


def step(made: tuple[Any, Fake], **command: Any) -> tuple[Any, ...]:
    made[1].commands = [devices.Command(**command)]
    return made[0].step(POLICY)


def test_the_device_is_the_one_asked_for(made: tuple[Any, Fake]) -> None:
    assert made[1].name == "spacemouse"


def test_keys_of_info(made: tuple[Any, Fake]) -> None:
    """As gym-hil's InputsControlWrapper has them; `next.success` only where an episode ends."""
    made[0].reset(seed=0)
    *_, terminated, _, info = step(made)
    keys = {"succeed", "is_success", "discrete_penalty"}
    keys |= {"is_intervention", "teleop_action", "rerecord_episode"}
    assert not terminated and set(info) == keys
    np.testing.assert_array_equal(info["teleop_action"], POLICY)
    assert info["is_intervention"] is False


def test_intervention_toggles_and_a_reset_clears_it(made: tuple[Any, Fake]) -> None:
    made[0].reset(seed=0)
    info = step(made, linear=(0.0, 1.0, 0.0), events=(devices.Event.INTERVENE,))[4]
    assert info["is_intervention"] is True
    np.testing.assert_array_equal(info["teleop_action"], [0, 1, 0, 1])
    info = step(made, gripper="open")[4]  # 2.0, as gym-hil calls it, which closes
    assert info["teleop_action"][3] == 2.0 and info["discrete_penalty"] == -0.02
    assert step(made, gripper="close")[4]["teleop_action"][3] == 0.0
    assert step(made, events=(devices.Event.INTERVENE,))[4]["is_intervention"] is False
    step(made, events=(devices.Event.INTERVENE,))
    made[0].reset(seed=0)
    assert step(made)[4]["is_intervention"] is False


def test_a_held_button_intervenes(made: tuple[Any, Fake]) -> None:
    made[0].reset(seed=0)
    info = step(made, intervene=True, linear=(0.0, 0.0, 1.0))[4]
    assert info["is_intervention"] is True and info["teleop_action"][2] == 1.0
    assert step(made, intervene=False)[4]["is_intervention"] is False


def test_a_share_of_opening_is_reached(made: tuple[Any, Fake]) -> None:
    """A leader arm says how far open; the gripper's control, 255 closed, follows."""
    made[0].reset(seed=0)
    obs = step(made, intervene=True, gripper=0.4)[0]
    assert obs["agent_pos"][14] == pytest.approx(0.6 * 255.0, abs=1e-3)
    obs = step(made, intervene=True, gripper=0.9)[0]
    assert obs["agent_pos"][14] == pytest.approx(0.1 * 255.0, abs=1e-3)


@pytest.mark.parametrize(
    ("event", "success", "again"),
    [("SUCCESS", True, False), ("FAILURE", False, False), ("RERECORD", False, True)],
)
def test_a_person_ends_the_episode(
    made: tuple[Any, Fake], event: str, success: bool, again: bool
) -> None:
    """gym-hil's re-record key never fires; ours does."""
    made[0].reset(seed=0)
    _, reward, terminated, _, info = step(made, events=(devices.Event[event],))
    assert terminated and info["next.success"] is success and info["rerecord_episode"] is again
    assert reward == (1.0 if success else 0.0)


def test_nonsense_holds_still(made: tuple[Any, Fake], caplog: pytest.LogCaptureFixture) -> None:
    made[0].reset(seed=0)
    made[1].said = ["spacemouse: it is gone; holding still"]
    info = step(made, intervene=True, linear=(float("nan"), 0.0, 0.0))[4]
    np.testing.assert_array_equal(info["teleop_action"], [0, 0, 0, 1])
    assert "it is gone" in caplog.text and "not finite" in caplog.text


def test_auto_reset_and_close(made: tuple[Any, Fake]) -> None:
    wrapped = made[0].env  # what the delay is around
    assert isinstance(wrapped, human.InputsControlWrapper)
    again = human.InputsControlWrapper(wrapped.env, auto_reset=True, device=Fake("keyboard"))
    first, _ = again.reset(seed=3)
    again.step(POLICY)
    again.device.commands = [devices.Command(events=(devices.Event.FAILURE,))]  # type: ignore[attr-defined]
    obs, _, terminated, _, info = again.step(POLICY)
    assert terminated and info["next.success"] is False
    np.testing.assert_array_equal(obs["agent_pos"], first["agent_pos"])
    again.close()
    assert again.device.closed  # type: ignore[attr-defined]


def test_controller_configuration(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"open": "lefttrigger"}), "utf-8")
    assert human.keymap_of(str(path)) == {"open": "lefttrigger"}
    path.write_text(json.dumps({"default": {"buttons": {"a": 0}, "axes": {}}}), "utf-8")
    assert human.keymap_of(str(path)) is None  # gym-hil's own
    assert human.keymap_of(None) is None
    for text in ("{", "[]", '{"open": 3}'):
        path.write_text(text, "utf-8")
        with pytest.raises(ValueError, match="controller_config_path"):
            human.keymap_of(str(path))
    with pytest.raises(ValueError, match="cannot be read"):
        human.keymap_of(str(tmp_path / "none.json"))
