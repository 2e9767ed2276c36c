"""The real LeRobot evaluates policies in mjxsim's worlds and records mjxsim's simulated arms.

Run by an interpreter that has LeRobot (0.4.4, 0.5 or 0.6) and mjxsim; docs/lerobot.md says how to
make one:

    python tests/lerobot/acceptance_envs.py
    python tests/lerobot/acceptance_envs.py --only record --work /somewhere/new

Each part runs LeRobot's own commands, unmodified, and looks at what they leave; the first that is
wrong ends with an AssertionError that says so. Nothing leaves the machine.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

HEIGHT, WIDTH = 48, 64
STATE, ACTION = 40, 4  # of pick_cube on an SO100 under "ee_delta"
CAMERAS = ("front", "wrist")
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
RECORDED_FPS = 20
# Half a second, in which no policy reaches a goal of a nanometre and every one is within 10 m.
IMPOSSIBLE = "{episode_seconds: 0.5, threshold: 1.0e-9}"
CERTAIN = "{episode_seconds: 0.5, threshold: 10.0}"

VERSION = importlib.metadata.version("lerobot")
OLD = VERSION.startswith("0.4.")
INSTALLED = importlib.util.find_spec("lerobot_robot_mjxsim") is not None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=tuple(PARTS), action="append")
    parser.add_argument("--work", type=pathlib.Path, default=None)
    parser.add_argument("--renderer", default="auto")
    parser.add_argument("--episode-seconds", type=float, default=6.0, help="of a recording")
    options = parser.parse_args()
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="mjxsim-lerobot-"))
    work.mkdir(parents=True, exist_ok=True)
    print(f"lerobot {VERSION}; plugin installed: {INSTALLED}; results in {work}")
    for name in options.only or PARTS:
        start = time.perf_counter()
        said = PARTS[name](work, options)
        print(f"{name}: {said} ({time.perf_counter() - start:.0f} s)", flush=True)


def evaluate(work: pathlib.Path, options: argparse.Namespace) -> str:
    """What cannot succeed is reported as 0 %, what cannot fail as 100 %, however it is batched."""
    policy = act_policy(work / "act", STATE, ACTION)
    kinds = {"sync": ("lerobot", "false"), "async": ("lerobot", "true")}
    if not OLD:
        kinds["native"] = ("native", "true")
    found = []
    for kind, (vectorization, use_async) in kinds.items():
        for name, settings, expected in (("never", IMPOSSIBLE, 0.0), ("always", CERTAIN, 100.0)):
            overall = lerobot_eval(
                work,
                options,
                f"{kind}_{name}",
                policy,
                f"--env.settings={settings}",
                f"--env.vectorization={vectorization}",
                f"--eval.use_async_envs={use_async}",
            )
            assert overall["pc_success"] == expected, (kind, name, overall)
            videos = [pathlib.Path(path) for path in overall["video_paths"]]
            assert len(videos) == 2, videos
            assert all(path.stat().st_size > 0 for path in videos), videos
            found.append(f"{kind} {name} {overall['pc_success']:g} %")
    return ", ".join(found)


def degrees(work: pathlib.Path, options: argparse.Namespace) -> str:
    """A policy of what lerobot-record writes; and with 0.6, what it does is recorded in turn."""
    policy = act_policy(work / "act_degrees", len(JOINTS), len(JOINTS))
    more = () if OLD else ("--eval.recording=true",)
    overall = lerobot_eval(
        work, options, "degrees", policy, "--env.units=lerobot", f"--env.settings={CERTAIN}", *more
    )
    assert overall["pc_success"] == 100.0, overall
    if OLD:
        return "evaluated"
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = work / "eval_degrees" / "recordings" / "mjxsim_0" / "env_0"
    dataset = LeRobotDataset("eval_recording", root=root)
    assert dataset.num_episodes == 1, dataset.num_episodes
    assert dataset.features["observation.state"]["shape"] == (len(JOINTS),), dataset.features
    success = [bool(dataset[i]["next.success"]) for i in range(dataset.num_frames)]
    assert success[-1], success
    return f"evaluated, and {dataset.num_frames} frames of it recorded"


def record(work: pathlib.Path, options: argparse.Namespace) -> str:
    """lerobot-record with a simulated SO100 and the scripted expert; LeRobot loads what it left."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = work / "recorded"
    lerobot(
        "lerobot_record",
        *discover("robot"),
        "--robot.type=mjxsim_so100",
        "--robot.id=acceptance",
        f"--robot.height={HEIGHT}",
        f"--robot.width={WIDTH}",
        f"--robot.renderer={options.renderer}",
        "--teleop.type=mjxsim_expert",
        "--dataset.repo_id=mjxsim/acceptance",
        f"--dataset.root={root}",
        "--dataset.single_task=pick up the red cube and lift it to the green ball",
        f"--dataset.fps={RECORDED_FPS}",
        "--dataset.num_episodes=2",
        f"--dataset.episode_time_s={options.episode_seconds}",
        "--dataset.reset_time_s=1",
        "--dataset.push_to_hub=false",
        "--play_sounds=false",
        log=work / "record.log",
        home=work,
    )
    dataset = LeRobotDataset("mjxsim/acceptance", root=root)
    assert dataset.num_episodes == 2, dataset.num_episodes
    names = [f"{joint}.pos" for joint in JOINTS]
    for key in ("observation.state", "action"):
        assert list(dataset.features[key]["names"]) == names, dataset.features[key]
    frames = [dataset[i] for i in range(dataset.num_frames)]
    home = []
    for episode in range(2):
        states = column(frames, "observation.state", episode)
        actions = column(frames, "action", episode)
        gripper = np.concatenate([states[:, 5], actions[:, 5]])
        assert ((gripper >= 0.0) & (gripper <= 100.0)).all(), gripper
        # Degrees: the elbow starts bent by 27 of them, and 0.5 rad would be less than one.
        assert 15.0 < states[0, 2] < 40.0, states[0]
        assert np.ptp(states[:, :5], axis=0).max() > 5.0, "the arm did not move"
        if len(states) > 3 * RECORDED_FPS:  # else the machine was too slow for the expert to finish
            assert states[-1, 5] > 5.0 > actions[-1, 5], "the jaws closed without the cube"
        home.append(actions)
    # The scene was drawn anew in between: another cube, so another way to it.
    shared = min(map(len, home))
    assert np.abs(home[0][:shared, 0] - home[1][:shared, 0]).max() > 1.0, "the scenes are the same"
    for camera in CAMERAS:
        picture = frames[0][f"observation.images.{camera}"]
        assert tuple(picture.shape) == (3, HEIGHT, WIDTH), picture.shape
        assert float(picture.std()) > 0.02, f"{camera} shows nothing"
    (path,) = (work / "home" / "calibration" / "robots" / "mjxsim_so100").glob("acceptance.json")
    calibration = json.loads(path.read_text())
    assert list(calibration) == list(JOINTS), calibration
    return f"2 episodes, {dataset.num_frames} frames, calibration {path.name}"


def hil(work: pathlib.Path, options: argparse.Namespace) -> str:
    """gym_manipulator, LeRobot's human-in-the-loop recorder, with an id of gym-hil's."""
    if importlib.util.find_spec("mjxsim.compat.gym_hil") is None:
        return "skipped: this mjxsim has no mjxsim.compat.gym_hil"
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = work / "hil"
    config = {
        "name": "gym_hil",
        "task": "PandaPickCube-v0",
        "fps": 10,
        "processor": {"gripper": {"use_gripper": True, "gripper_penalty": -0.02}},
    }
    dataset = {
        "repo_id": "mjxsim/hil",
        "root": str(root),
        "task": "pick",
        "num_episodes_to_record": 1,
    }
    path = work / "hil.json"
    path.write_text(json.dumps({"env": config, "dataset": dataset, "mode": "record"}))
    lerobot(
        "lerobot.rl.gym_manipulator",
        "--env.discover_packages_path=mjxsim.compat.lerobot_hil",
        f"--config_path={path}",
        log=work / "hil.log",
        home=work,
    )
    recorded = LeRobotDataset("mjxsim/hil", root=root)
    assert recorded.num_episodes == 1, recorded.num_episodes
    return f"1 episode, {recorded.num_frames} frames"


def device(work: pathlib.Path, options: argparse.Namespace) -> str:
    """A device's commands reach an arm: it goes where it is told, and starts anew when told."""
    from lerobot.robots import make_robot_from_config
    from lerobot.teleoperators import make_teleoperator_from_config
    from lerobot.teleoperators.utils import TeleopEvents

    from mjxsim.compat import lerobot as plugin
    from mjxsim.compat.lerobot import device as teleoperator
    from mjxsim.teleop.devices import Command, Event

    plugin.register()
    from mjxsim.compat.lerobot.config_arms import SimSO101Config
    from mjxsim.compat.lerobot.config_device import SimDeviceConfig

    class Held:
        """A person who pushes to the left and closes the gripper, then asks for another scene."""

        name = "held"
        command = Command(linear=(0.0, 1.0, 0.0), gripper="close")

        def poll(self) -> Command:
            return self.command

        def messages(self) -> tuple[str, ...]:
            return ()

        def help(self) -> tuple[str, ...]:
            return ("no keys",)

        def close(self) -> None:
            self.name = "closed"

    held = Held()
    teleoperator.make_device = lambda name: held
    arm = make_robot_from_config(
        SimSO101Config(id="device", task="reach", views=[], pacing="frames", calibration_dir=work)
    )
    said, sys.argv = sys.argv, [*sys.argv, "--dataset.fps=10"]
    assert SimDeviceConfig().fps == 10.0, "as fast as the recorder asks"
    sys.argv = said
    teleop = make_teleoperator_from_config(SimDeviceConfig())
    assert teleop.config.fps == 30.0
    arm.connect()
    teleop.connect()

    def frames(count: int) -> dict:
        for _ in range(count):
            arm.get_observation()
            arm.send_action(teleop.get_action())
        return arm.get_observation()

    start = arm.get_observation()
    end = frames(30)
    # The base's y is to the left; LeRobot's pan grows clockwise, seen from above.
    assert end["shoulder_pan.pos"] < start["shoulder_pan.pos"] - 10.0, (start, end)
    assert end["gripper.pos"] < 5.0 < 45.0 < start["gripper.pos"], (start, end)
    held.command = Command(events=(Event.RESET, Event.SUCCESS))
    teleop.get_action()
    held.command = Command(intervene=True)
    anew = frames(1)
    assert abs(anew["shoulder_pan.pos"] - start["shoulder_pan.pos"]) < 8.0, (start, anew)
    events = teleop.get_teleop_events()
    assert events[TeleopEvents.SUCCESS] and events[TeleopEvents.IS_INTERVENTION], events
    assert not teleop.get_teleop_events()[TeleopEvents.SUCCESS], "success is said once"
    teleop.disconnect()
    arm.disconnect()
    assert held.name == "closed"
    return f"pan {start['shoulder_pan.pos']:.1f} to {end['shoulder_pan.pos']:.1f} degrees"


PARTS = {
    "evaluate": evaluate,
    "degrees": degrees,
    "record": record,
    "device": device,
    "hil": hil,
}


def column(frames: list[dict], key: str, episode: int) -> np.ndarray:
    return np.stack([f[key].numpy() for f in frames if int(f["episode_index"]) == episode])


def discover(what: str) -> tuple[str, ...]:
    """How LeRobot finds mjxsim where the plugin is not installed."""
    return () if INSTALLED else (f"--{what}.discover_packages_path=mjxsim.compat.lerobot",)


def lerobot(script: str, *arguments: str, log: pathlib.Path, home: pathlib.Path) -> None:
    """Runs one of LeRobot's commands in a process of its own."""
    module = script if "." in script else f"lerobot.scripts.{script}"
    environment = {**os.environ, "HF_LEROBOT_HOME": str(home / "home"), "HF_HUB_OFFLINE": "1"}
    with log.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    if done.returncode:
        raise AssertionError(f"{script} failed, see {log}:\n{log.read_text()[-3000:]}")


def lerobot_eval(
    work: pathlib.Path, options: argparse.Namespace, name: str, policy: pathlib.Path, *more: str
) -> dict:
    """What lerobot-eval says of two episodes in two worlds at once."""
    out = work / f"eval_{name}"
    lerobot(
        "lerobot_eval",
        *discover("env"),
        f"--policy.path={policy}",
        "--policy.device=cpu",
        "--env.type=mjxsim",
        "--env.task=pick_cube",
        "--env.robot=so100",
        f"--env.height={HEIGHT}",
        f"--env.width={WIDTH}",
        f"--env.renderer={options.renderer}",
        "--eval.batch_size=2",
        "--eval.n_episodes=2",
        f"--output_dir={out}",
        *more,
        log=work / f"eval_{name}.log",
        home=work,
    )
    overall = json.loads((out / "eval_info.json").read_text())["overall"]
    assert overall["n_episodes"] == 2, overall
    return overall


def act_policy(path: pathlib.Path, state: int, action: int) -> pathlib.Path:
    """A small ACT policy of random weights, as `save_pretrained` leaves it."""
    import torch
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.act.processor_act import make_act_pre_post_processors

    torch.manual_seed(0)
    picture = PolicyFeature(type=FeatureType.VISUAL, shape=(3, HEIGHT, WIDTH))
    images = {f"observation.images.{camera}": picture for camera in CAMERAS}
    known = PolicyFeature(type=FeatureType.STATE, shape=(state,))
    config = ACTConfig(
        input_features={"observation.state": known, **images},
        output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(action,))},
        chunk_size=10,
        n_action_steps=10,
        dim_model=32,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
        n_vae_encoder_layers=1,
        pretrained_backbone_weights=None,
        device="cpu",
        push_to_hub=False,
    )
    ACTPolicy(config).save_pretrained(path)
    stats = {
        name: plain(shape) for name, shape in (("action", action), ("observation.state", state))
    }
    stats |= {name: plain(3, 1, 1) for name in images}
    for processor in make_act_pre_post_processors(config, stats):
        processor.save_pretrained(path)
    return path


def plain(*shape: int) -> dict:
    import torch

    one = torch.ones(shape)
    return {"mean": 0.0 * one, "std": one, "min": -one, "max": one}


if __name__ == "__main__":
    main()
