"""The ids of other packages' environments, registered with gymnasium; loads nothing.

Entry points are strings: what they name is imported when an environment is made.
"""

import importlib
import importlib.util
import itertools
from typing import Any

import gymnasium

GYM_HIL = "gym_hil"
OURS = "mjxsim_gym_hil"
EPISODE_STEPS = 100  # gym_hil/__init__.py
TASKS = ("PandaPickCube", "PandaArrangeBoxes")
_PACKAGE = "mjxsim.compat.gym_hil"


def register(*, override: bool = False) -> None:
    """Registers gym-hil's ids and the Spacemouse ids that guides name.

    Always as "mjxsim_gym_hil/PandaPickCube-v0" and so on; as "gym_hil/..." where gym-hil is not
    installed, or with `override`. An id that is there already stays, but for `override`, which
    imports gym-hil first, so that a later import of it changes nothing.
    """
    installed = importlib.util.find_spec(GYM_HIL) is not None
    if override and installed:
        try:
            importlib.import_module(GYM_HIL)
        except Exception as error:  # it may fail in any way beside a newer MuJoCo
            gymnasium.logger.warn(f"gym_hil is installed but cannot be imported: {error}")
    spaces = (OURS, GYM_HIL) if override or not installed else (OURS,)
    for space, (name, settings) in itertools.product(spaces, _ids().items()):
        known = f"{space}/{name}"
        if override and space == GYM_HIL:
            gymnasium.registry.pop(known, None)
        if known not in gymnasium.registry:
            gymnasium.register(known, max_episode_steps=EPISODE_STEPS, **settings)


def _ids() -> dict[str, dict[str, Any]]:
    """What gymnasium.register takes for each name; defaults as in gym_hil/__init__.py."""
    ids: dict[str, dict[str, Any]] = {}
    for task in TASKS:
        base = {"env_id": f"{GYM_HIL}/{task}Base-v0"}
        wrapped = f"{_PACKAGE}.factory:make_env"
        policy = {**base, "use_inputs_control": False}
        if task == "PandaPickCube":
            policy["gripper_penalty"] = -0.05
        human = {**base, "use_viewer": True, "use_inputs_control": True}
        ids[f"{task}Base-v0"] = {
            "entry_point": f"{_PACKAGE}.env:{task}GymEnv",
            "vector_entry_point": f"{_PACKAGE}.vector:{task}Base",
            "kwargs": {},
        }
        ids[f"{task}Viewer-v0"] = {"entry_point": f"{_PACKAGE}.factory:make_viewer", "kwargs": base}
        ids[f"{task}-v0"] = {
            "entry_point": wrapped,
            "vector_entry_point": f"{_PACKAGE}.vector:make_vec",
            "kwargs": policy,
        }
        for device, more in (
            ("Gamepad", {"use_gamepad": True}),
            ("Keyboard", {"gripper_penalty": -0.05}),
            ("Spacemouse", {"control_mode": "spacemouse"}),
        ):
            ids[f"{task}{device}-v0"] = {"entry_point": wrapped, "kwargs": {**human, **more}}
    return ids
