"""gym-hil's `make_env` and `wrap_env`, with every keyword that guides for it pass."""

from collections.abc import Callable, Mapping
from typing import Any

from mjxsim.compat.gym_hil.checks import check, check_switches, finite, merged
from mjxsim.compat.gym_hil.env import HilEnv, PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from mjxsim.compat.gym_hil.human import InputsControlWrapper, device_of
from mjxsim.compat.gym_hil.settings import CONTROL_MODES, Task
from mjxsim.compat.gym_hil.viewing import CameraWindowWrapper, PassiveViewerWrapper
from mjxsim.compat.gym_hil.wrappers import (
    EEActionWrapper,
    GripperPenaltyWrapper,
    ResetDelayWrapper,
    Wrapped,
)
from mjxsim.naming import unknown

PENALTY = -0.02  # wrappers/factory.py
RESET_DELAY = 1.0  # [s] wrappers/factory.py

_CLASSES: dict[str, type[HilEnv]] = {
    "PandaPickCubeBase-v0": PandaPickCubeGymEnv,
    "PandaArrangeBoxesBase-v0": PandaArrangeBoxesGymEnv,
}

# Makes a device by its name; `mjxsim.teleop.devices.make_device` where None.
MakeDevice = Callable[[str], Any]


def make_env(
    env_id: str,
    ee_step_size: Mapping[str, float] | None = None,
    use_viewer: bool = False,
    use_gamepad: bool = False,
    use_gripper: bool = True,
    use_inputs_control: bool = False,
    auto_reset: bool = False,
    show_ui: bool = True,
    gripper_penalty: float = PENALTY,
    reset_delay_seconds: float | None = None,
    controller_config_path: str | None = None,
    *,
    control_mode: str | None = None,
    reset_time_s: float | None = None,
    display_cameras: bool = False,
    wrapper_kwargs: Mapping[str, Any] | None = None,
    make_device: MakeDevice | None = None,
    **settings: Any,
) -> Wrapped:
    """Makes a base environment and wraps it.

    Args:
      env_id: "gym_hil/PandaPickCubeBase-v0" or "gym_hil/PandaArrangeBoxesBase-v0".
      ee_step_size: see `wrap_env`, as for what follows.
      use_viewer: see `wrap_env`.
      use_gamepad: see `wrap_env`.
      use_gripper: see `wrap_env`.
      use_inputs_control: see `wrap_env`.
      auto_reset: see `wrap_env`.
      show_ui: see `wrap_env`.
      gripper_penalty: see `wrap_env`.
      reset_delay_seconds: see `wrap_env`.
      controller_config_path: see `wrap_env`.
      control_mode: see `wrap_env`.
      reset_time_s: see `wrap_env`.
      display_cameras: see `wrap_env`.
      wrapper_kwargs: any of these keywords, and of `Settings`; they count before those beside it.
      make_device: see `wrap_env`.
      settings: fields of `mjxsim.compat.gym_hil.Settings`.

    Raises:
      ValueError: one line, for an unknown id or keyword, or a value that cannot be.
      mjxsim.teleop.devices.DeviceError: there is no such device, or no display for its keys.
      mjxsim.rendering.NoRendererError: there is no display to show the world on.
    """
    around: dict[str, Any] = {
        "ee_step_size": ee_step_size,
        "use_viewer": use_viewer,
        "use_gamepad": use_gamepad,
        "use_gripper": use_gripper,
        "use_inputs_control": use_inputs_control,
        "auto_reset": auto_reset,
        "show_ui": show_ui,
        "gripper_penalty": gripper_penalty,
        "reset_delay_seconds": reset_delay_seconds,
        "controller_config_path": controller_config_path,
        "control_mode": control_mode,
        "reset_time_s": reset_time_s,
        "display_cameras": display_cameras,
        "make_device": make_device,
    }
    for name, value in merged({"wrapper_kwargs": wrapper_kwargs}).items():
        (around if name in around else settings)[name] = value
    return wrap_env(_CLASSES[f"{task_of(env_id)}Base-v0"](**settings), **around)


def wrap_env(
    env: Wrapped,
    ee_step_size: Mapping[str, float] | None = None,
    use_viewer: bool = False,
    use_gamepad: bool = False,
    use_gripper: bool = True,
    use_inputs_control: bool = False,
    auto_reset: bool = False,
    show_ui: bool = True,
    gripper_penalty: float = PENALTY,
    reset_delay_seconds: float | None = None,
    controller_config_path: str | None = None,
    *,
    control_mode: str | None = None,
    reset_time_s: float | None = None,
    display_cameras: bool = False,
    make_device: MakeDevice | None = None,
) -> Wrapped:
    """Puts gym-hil's wrappers around a base environment of ours.

    Args:
      env: `PandaPickCubeGymEnv`, `PandaArrangeBoxesGymEnv`, or wrappers around one.
      ee_step_size: [m] along "x", "y" and "z" for an action of 1; 0.025 each if None.
      use_viewer: whether to show the world: in MuJoCo's viewer; where a person drives, whose keys
        that viewer takes for its own, in a window with the cameras' pictures.
      use_gamepad: the device of `use_inputs_control`, instead of a keyboard.
      use_gripper: whether `info` has `discrete_penalty`, and a person moves the gripper.
      use_inputs_control: whether a person can take over.
      auto_reset: whether an episode that ends under human input starts anew within the same step.
      show_ui: whether MuJoCo's viewer shows its panels.
      gripper_penalty: what `discrete_penalty` is when the gripper is opened or closed.
      reset_delay_seconds: wait before each reset; if None 1 with a viewer or human input, else 0.
      controller_config_path: a JSON file with a gamepad's mapping, as gym-hil has one.
      control_mode: "gamepad", "keyboard" or "spacemouse" switches human input on, "policy" off.
      reset_time_s: another name of `reset_delay_seconds`, which counts before it.
      display_cameras: whether to show the cameras' pictures in a window.
      make_device: makes a device by its name; `mjxsim.teleop.devices.make_device` if None.

    Raises:
      ValueError: one line, for a value that cannot be.
      mjxsim.teleop.devices.DeviceError: there is no such device, or no display for its keys.
      mjxsim.rendering.NoRendererError: there is no display to show the world on.
    """
    check_switches(
        use_viewer=use_viewer,
        use_gamepad=use_gamepad,
        use_gripper=use_gripper,
        use_inputs_control=use_inputs_control,
        auto_reset=auto_reset,
        show_ui=show_ui,
        display_cameras=display_cameras,
    )
    device = "gamepad" if use_gamepad else "keyboard"
    if control_mode is not None:
        check("control_mode", control_mode, CONTROL_MODES)
        use_inputs_control = control_mode != "policy"
        device = control_mode
    if not finite(gripper_penalty):
        raise ValueError(f"gripper_penalty must be a finite number, got {gripper_penalty!r}")
    if use_gripper:
        env = GripperPenaltyWrapper(env, gripper_penalty)
    env = EEActionWrapper(env, ee_step_size, use_gripper=True)
    if display_cameras or (use_viewer and use_inputs_control):
        env = CameraWindowWrapper(env)
    if use_inputs_control:
        chosen = (
            make_device(device)
            if make_device
            else device_of(device, controller_config_path=controller_config_path)
        )
        env = InputsControlWrapper(
            env, use_gripper=use_gripper, auto_reset=auto_reset, device=chosen
        )
    elif use_viewer:
        env = PassiveViewerWrapper(env, show_left_ui=show_ui, show_right_ui=show_ui)
    delay = reset_delay_seconds if reset_time_s is None else reset_time_s
    if delay is None:
        delay = RESET_DELAY if use_viewer or use_inputs_control else 0.0
    return ResetDelayWrapper(env, delay)


def make_viewer(env_id: str, **settings: Any) -> Wrapped:
    """A base environment in MuJoCo's viewer, as the Viewer ids are."""
    return PassiveViewerWrapper(_CLASSES[f"{task_of(env_id)}Base-v0"](**settings))


def task_of(env_id: str) -> Task:
    """The task of a base environment's id, in either namespace; ValueError with the nearest one."""
    name = env_id.rpartition("/")[2]
    if name not in _CLASSES:
        raise ValueError(unknown("base environment", env_id, [f"gym_hil/{n}" for n in _CLASSES]))
    return _CLASSES[name].TASK


def flattened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for a world that nobody drives or watches: `wrapper_kwargs` among the others."""
    given = merged(settings)
    mode = given.pop("control_mode", None)
    if mode is not None:
        check("control_mode", mode, CONTROL_MODES)
        if mode != "policy":
            raise ValueError(f"control_mode {mode!r}: a person drives one world, not many")
    for name in ("reset_time_s", "reset_delay_seconds", "display_cameras", "use_viewer"):
        given.pop(name, None)  # of a person who waits or watches
    return given
