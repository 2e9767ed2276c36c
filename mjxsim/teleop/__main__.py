"""Steers one lane of a running batch, from the command line.

    python -m mjxsim.teleop --task pick_cube --robot panda --device keyboard --lanes 8
    python -m mjxsim.teleop --task pick_cube --output-dir data/pick_cube --episodes 10

Exit codes: 0 done; 1 done, but the recording was cut short; 2 a mistake in what was asked; 130
ended by Ctrl-C.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from mjxsim import config as configs
from mjxsim.learning.checkpoint import CheckpointError
from mjxsim.teleop import build
from mjxsim.teleop.build import Worlds
from mjxsim.teleop.config import TeleopConfig
from mjxsim.teleop.devices import Device, make_device
from mjxsim.teleop.devices.sdl import SdlEvents
from mjxsim.teleop.devices.with_keys import WithKeys
from mjxsim.teleop.eyes import drawer
from mjxsim.teleop.frame import Sink
from mjxsim.teleop.loop import Loop, Report
from mjxsim.teleop.outputs import close_recorder, open_recorder, open_sinks
from mjxsim.teleop.recording import STOPPED, Recorder
from mjxsim.teleop.window import Window

PROG = "python -m mjxsim.teleop"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        return run(parse(sys.argv[1:] if argv is None else argv))
    except (CheckpointError, ValueError, RuntimeError, OSError) as error:
        print(f"error: {_line(error)}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the episode in progress is not kept", file=sys.stderr, flush=True)
        return 130


def parse(argv: Sequence[str]) -> TeleopConfig:
    """What a command line asks for; exits after printing `--help`.

    Raises:
      ValueError: an unknown option (with the nearest valid one) or a value that does not fit.
    """
    return configs.with_flags(TeleopConfig(), argv, PROG)


def run(config: TeleopConfig) -> int:
    """Runs a session; returns the exit code. Raises what `main` answers in a line."""
    windowed = not config.headless
    keymap = build.read_keymap(config.keymap)
    watched = windowed or config.rerun or config.rerun_file is not None or config.web is not None
    pictures = watched or config.output_dir is not None or config.device == "browser"
    with contextlib.ExitStack() as stack:
        # What the person can get wrong comes before what takes time.
        events = SdlEvents() if windowed else None
        built = build.worlds(config, pictures=pictures)
        device = make_device(
            config.device,
            keymap=keymap,
            events=events,
            options=build.device_options(config, built.env),
        )
        stack.callback(device.close)
        sinks = open_sinks(config, built, device)
        if events is not None and config.device != "keyboard":
            device = WithKeys(device, make_device("keyboard", events=events))
        recorder = None
        unwritten: list[str | None] = []
        if config.output_dir is not None:
            made_here = not config.output_dir.exists()
            recorder = writer = open_recorder(config, config.output_dir, built)
            # A full disk may show only now, and what was held is still to be said.
            stack.callback(lambda: unwritten.append(close_recorder(writer, made_here=made_here)))
        window = None
        if events is not None:
            window = Window(events, built.cameras, device.help())
            stack.callback(window.shut)
            sinks.append(window)
        else:
            print("\n".join(device.help()), flush=True)
        loop = _loop(config, built, device, recorder, sinks)
        with _interruptible(loop) as interrupted:
            report = loop.run() if window is None else _beside(loop, window)
    print(report.timing.table())
    if recorder is not None:
        there = recorder.committed
        print(f"{there} episodes in {config.output_dir}" if there else "no episode was recorded")
    if error := report.error or next(filter(None, unwritten), None):
        print(f"error: {STOPPED}{error}", file=sys.stderr, flush=True)
        return 1
    if interrupted():
        print("interrupted: an episode in progress is not kept", file=sys.stderr, flush=True)
        return 130
    return 0


@contextlib.contextmanager
def _interruptible(loop: Loop) -> Iterator[Callable[[], bool]]:
    """Has Ctrl-C end the session in order, and a second one at once; yields whether it came."""
    came = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # a shell's background job, or somebody's own
        yield came.is_set
        return

    def end(number: int, frame: object) -> None:
        came.set()
        signal.signal(signal.SIGINT, before)
        loop.stop()

    signal.signal(signal.SIGINT, end)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _loop(
    config: TeleopConfig,
    built: Worlds,
    device: Device,
    recorder: Recorder | None,
    sinks: Sequence[Sink],
) -> Loop:
    steps = None
    if config.seconds is not None:
        steps = max(1, round(config.seconds / built.env.task.config.control_dt))
    return Loop(
        build.lanes(config, built, first_episode=recorder.episodes if recorder else 0),
        device,
        build.rules(config, built),
        names=built.names,
        draw=drawer(built.seeing),
        cameras=built.cameras,
        recorder=recorder,
        penalty=config.gripper_penalty,
        sinks=sinks,
        max_steps=steps,
        say=lambda line: print(line, flush=True),
    )


def _beside(loop: Loop, window: Window) -> Report:
    """Runs the loop on a thread of its own, and the window on this one, as macOS wants it."""
    done: list[Report] = []
    failed: list[BaseException] = []

    def control() -> None:
        try:
            done.append(loop.run())
        except BaseException as error:  # raised again on the main thread
            failed.append(error)

    thread = threading.Thread(target=control, name="mjxsim-control")
    thread.start()
    try:
        while thread.is_alive():
            window.step()
    finally:
        loop.stop()
        thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
