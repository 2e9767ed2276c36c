"""Where a session goes beside the window: a dataset, a web page, Rerun. Each is loaded if asked."""

import functools
import pathlib
import shutil
from typing import TYPE_CHECKING

from mjxsim.randomization import RandomizationConfig
from mjxsim.teleop.build import Worlds
from mjxsim.teleop.config import TeleopConfig
from mjxsim.teleop.devices import Device
from mjxsim.teleop.frame import Sink
from mjxsim.teleop.priority import lowered
from mjxsim.teleop.recording import EXTRAS, why_stopped

if TYPE_CHECKING:
    from mjxsim.datasets import Writer


def open_recorder(config: TeleopConfig, root: pathlib.Path, built: Worlds) -> "Writer":
    """A dataset to record into.

    Raises:
      ValueError: the rate is not a whole number, or the dataset in `root` is of another task, rate
        or robot.
      OSError: there is something in `root`, and resuming was not asked for.
    """
    try:
        from mjxsim import datasets
    except ImportError as error:
        raise RuntimeError(
            'a dataset needs pyarrow: python -m pip install "mjxsim[datasets]"'
        ) from error
    env = built.seeing
    rate = 1.0 / env.task.config.control_dt
    fps = round(rate)
    if abs(rate - fps) > 1e-6 * rate:
        raise ValueError(
            f"a dataset has a whole number of frames per second, not {rate:g}: "
            "choose a whole --rate"
        )
    if not config.resume and root.exists() and any(root.iterdir()):
        raise ValueError(
            f"--output-dir {root} exists: give --resume to add to it, or another directory"
        )
    source = datasets.Source(
        task=env.name.split("/")[0],
        task_config=env.task.config,
        robot=env.robot.name,
        engine=env.engine.name,
        control=built.control,
        cameras=env.eyes.config if env.eyes else datasets.Source.cameras,
        randomization=built.run.config.randomization if built.run else RandomizationConfig(),
    ).resolved(env)
    opened = datasets.Writer.resume
    if not config.resume:
        opened = functools.partial(datasets.Writer.create, lerobot=config.lerobot)
    features = datasets.features_of(env, extras=EXTRAS)
    video = datasets.VideoConfig(codec=config.codec)
    # Encoders start threads of their own, which would compete with the control thread.
    return lowered(
        lambda: opened(
            root, features, fps=fps, robot_type=env.robot.name, source=source, video=video
        )
    )


def close_recorder(writer: "Writer", *, made_here: bool) -> str | None:
    """Completes a dataset, or removes it where nothing is in it and the session made its directory.

    Returns:
      What could not be written, in a line; None if everything was.
    """
    error = None
    try:
        writer.close()
    except (ValueError, OSError) as raised:
        error = why_stopped(raised)
    if made_here and not writer.committed:  # so that nothing is in the way of the next session
        shutil.rmtree(writer.root, ignore_errors=True)
    return error


def open_sinks(config: TeleopConfig, built: Worlds, device: Device) -> list[Sink]:
    """Who looks, beside the window; `device` is what the person holds, as `make_device` made it.

    Raises:
      RuntimeError: what is needed is not installed.
    """
    model = built.env.engine.model
    sinks: list[Sink] = []
    if config.device == "browser":
        from mjxsim.teleop.devices.browser import BrowserDevice

        assert isinstance(device, BrowserDevice), "the page that steers shows the session too"
        sinks.append(device)
    if config.rerun or config.rerun_file is not None:
        from mjxsim.teleop.rerun_log import RerunSink

        sinks.append(RerunSink(model, path=config.rerun_file))
    if config.web is not None:
        from mjxsim.teleop.web import WebView

        view = WebView(model, host=config.host, port=config.web, help=device.help())
        print(f"the scene is at {view.url}", flush=True)
        sinks.append(view)
    return sinks
