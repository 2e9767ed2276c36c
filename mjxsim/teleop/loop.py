"""The control loop: ask the person, step the batch, record, show, wait for the next deadline."""

import contextlib
import dataclasses
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from mjxsim.envs import Env, State
from mjxsim.teleop import mapping, session
from mjxsim.teleop.clock import Clock, TimeSource, Timing
from mjxsim.teleop.devices.base import Command, Device
from mjxsim.teleop.eyes import Draw
from mjxsim.teleop.frame import Frame, Sink, Status
from mjxsim.teleop.lanes import Lanes, Seen
from mjxsim.teleop.recording import STOPPED, Moment, Recorder, Take, why_stopped
from mjxsim.teleop.session import Decision, Outcome, Rules, Session
from mjxsim.teleop.showing import Showing

_SHOWN = 4.0  # [s] for which a message stays on the screen


@dataclasses.dataclass(frozen=True)
class Report:
    """What a session came to."""

    timing: Timing
    episodes: int  # in the dataset, if there is one
    error: str | None = None  # what ended the recording before its time


class Loop:
    """One session of one person. `run` is for any one thread; `stop` for any other."""

    def __init__(
        self,
        lanes: Lanes,
        device: Device,
        rules: Rules,
        *,
        names: Sequence[str] = (),
        draw: Draw | None = None,
        cameras: Sequence[str] = (),
        visible: np.ndarray | None = None,
        recorder: Recorder | None = None,
        penalty: float = 0.0,
        sinks: Sequence[Sink] = (),
        time: TimeSource | None = None,
        say: Callable[[str], None] = print,
        max_steps: int | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
          lanes: the batch.
          device: what the person holds.
          rules: of the session.
          names: of each entry of the observation.
          draw: pictures of the person's lane; None for none.
          cameras: their names, as `draw` has them.
          visible: which entries of the observation are recorded; all if None.
          recorder: where episodes go; None to keep nothing.
          penalty: recorded for a step in which the gripper is told to open or to close.
          sinks: who looks.
          time: of the clock; the machine's own if None.
          say: takes each line for the terminal.
          max_steps: control steps after which to stop.
        """
        self._lanes, self._device, self._rules = lanes, device, rules
        self._names, self._draw, self._cameras = tuple(names), draw, tuple(cameras)
        self._visible = np.arange(lanes.env.observation_size) if visible is None else visible
        self._take = Take(recorder, penalty=penalty) if recorder else None
        self._sinks, self._say = sinks, say
        self._clock = Clock(lanes.env.task.config.control_dt, time)
        self._max_steps = max_steps
        self._stop = threading.Event()
        self._joints = mapping.arm_joints(lanes.env.controller)
        self._bodies = _bodies(lanes.env)
        self._steps = 0
        self._message, self._until = "", -1
        self._realized: jax.Array | None = None  # the last pictures that are known to be drawn
        self._odd = False  # the device's last command was not finite
        self._error: str | None = None

    def stop(self) -> None:
        """Ends `run` at the next control step."""
        self._stop.set()

    def run(self) -> Report:
        """Runs until the person, `stop`, `max_steps` or the number of episodes ends it.

        Raises:
          ValueError: the device does not fit the robot.
        """
        state = self._warm_up()
        showing = Showing(self._sinks, self._say)
        try:
            with _undisturbed():
                self._run(state, showing)
        finally:
            self._finish(showing)
            showing.close()
        return self._report()

    def _warm_up(self) -> State:
        """Compiles all that the loop will call."""
        state = self._lanes.begin()
        want = mapping.wish(Command(), self._joints)
        for restart in (True, False):
            state, seen = self._lanes.step(state, self._lanes.orders(want, restart=restart))
        if self._draw:
            jax.block_until_ready(self._draw(seen))
        self._lanes.episode_key(0)
        return jax.block_until_ready(state)

    def _run(self, state: State, showing: Showing) -> None:
        rules = self._rules
        recorded = self._take.episodes if self._take else 0
        now = session.begin(rules, saved=recorded)
        command, outcome = Command(), Outcome()
        decision = Decision(restart=True, freeze=now.waiting, steer=False)
        seen: Seen | None = None
        was = now
        pictures: jax.Array | None = None
        self._say_all(self._device.messages(), showing)
        while not self._stop.is_set() and self._steps != self._max_steps:
            self._clock.wait()
            if seen is not None:
                command = self._ask(showing)
                was = now
                now, decision = session.react(now, rules, command, outcome)
                self._settle(was, seen, decision, showing)
                self._say_all(decision.messages, showing)
                if now.speed != self._clock.speed:
                    self._clock.set_speed(now.speed)
            if line := self._clock.shortfall():
                self._say_all((line,), showing)
            if decision.quit:
                break
            if self._error and rules.can_record:
                rules = dataclasses.replace(rules, can_record=False, episodes=None)
                now = dataclasses.replace(now, recording=False, waiting=False)
            # A person who pauses still sees the new start, or the lane, that they ask for.
            asked = decision.restart or now.lane != was.lane
            if now.paused and not asked and seen is not None:
                showing.show(self._frame(now, rules, command, seen, pictures))
                continue
            orders = self._lanes.orders(
                mapping.wish(command, self._joints, now.arm),
                lane=now.lane,
                steer=decision.steer,
                keep=decision.keep,
                freeze=decision.freeze,
                pause=now.paused,
                restart=decision.restart,
                number=now.number,
            )
            before, drawn = seen, pictures
            state, pending = self._lanes.step(state, orders)
            self._steps += not now.paused
            moved = not (decision.restart or decision.freeze or now.paused)
            after: Seen = jax.device_get(pending)
            # A picture that nobody records may be dropped; one that is still drawn would pile up.
            if self._draw and (now.recording or now.paused or self._realized is pictures):
                pictures = self._draw(pending)
            if now.recording and moved and before is not None:
                self._record(drawn, before, after, decision.steer, showing)
            outcome, seen = _outcome(after, moved), after
            showing.show(self._frame(now, rules, command, after, pictures))

    def _ask(self, showing: Showing) -> Command:
        """The person's command, or to hold still where it makes no sense."""
        command = self._device.poll()
        self._say_all(self._device.messages(), showing)
        if command.finite:
            self._odd = False
            return command
        if not self._odd:
            line = f"{self._device.name}: it sent a number that is not finite; holding still"
            self._say_all((line,), showing)
        self._odd = True
        return Command(events=command.events)

    def _settle(self, was: Session, seen: Seen, decision: Decision, showing: Showing) -> None:
        """Saves or discards the open episode, as decided."""
        take = self._take
        if decision.verdict is None or take is None or self._error:
            return
        try:
            if decision.verdict == "discard" or take.frames == 0:
                take.discard()
                return
            frames = take.frames
            task = self._lanes.env.task.instructions[int(seen.instruction)]
            number = take.save(
                success=decision.verdict == "success",
                task=task,
                key=self._lanes.episode_key(was.number),
                lane=was.lane,
                lanes=self._lanes.num,
            )
            line = f"episode {number}: {frames} frames, {decision.verdict}"
            self._say_all((line,), showing)
        except (ValueError, OSError) as error:
            self._fail(error, showing)

    def _record(
        self,
        pictures: jax.Array | None,
        before: Seen,
        seen: Seen,
        steered: bool,
        showing: Showing,
    ) -> None:
        if self._take is None or self._error:
            return
        try:
            self._take.add(
                functools.partial(self._moment, before, pictures),
                np.asarray(seen.action),
                float(seen.reward),
                success=bool(seen.success),
                intervention=steered,
                switched=bool((np.abs(seen.gripper - before.gripper) > 0.5).any()),
            )
        except (ValueError, OSError) as error:
            self._fail(error, showing)

    def _fail(self, error: Exception, showing: Showing) -> None:
        self._error = why_stopped(error)
        self._say_all((f"{STOPPED}{self._error}",), showing)

    def _finish(self, showing: Showing) -> None:
        """Forgets an episode that nobody has marked, and waits until the others are handed on."""
        take = self._take
        if take is None:
            return
        if take.frames and not self._error:
            with contextlib.suppress(ValueError, OSError):
                take.discard()
        try:
            take.finish()
        except (ValueError, OSError) as error:
            if not self._error:
                self._fail(error, showing)

    def _moment(self, seen: Seen, pictures: jax.Array | None) -> Moment:
        return Moment(
            observation=np.asarray(seen.obs)[self._visible], images=self._images(pictures)
        )

    def _images(self, pictures: jax.Array | None) -> dict[str, np.ndarray]:
        if pictures is None:
            return {}
        images = np.asarray(pictures)  # waits until they are drawn
        self._realized = pictures
        return dict(zip(self._cameras, images, strict=True))

    def _say_all(self, lines: Sequence[str], showing: Showing) -> None:
        for line in lines:
            showing.say(line)
            self._message = line
            self._until = self._steps + round(_SHOWN / self._clock.dt)

    def _frame(
        self,
        now: Session,
        rules: Rules,
        command: Command,
        seen: Seen,
        pictures: jax.Array | None,
    ) -> Callable[[], Frame]:
        status = self._status(now, rules, command, seen)
        return functools.partial(self._build_frame, self._steps, seen, pictures, status)

    def _status(self, now: Session, rules: Rules, command: Command, seen: Seen) -> Status:
        return Status(
            lane=now.lane,
            lanes=rules.lanes,
            recording=now.recording,
            intervening=session.steers(now, rules, command),
            paused=now.paused,
            episode=now.saved,
            episodes=rules.episodes,
            step=int(seen.step_count),
            rate=1.0 / self._clock.period,
            measured_rate=self._clock.measured_rate,
            late=self._clock.late,
            speed=now.speed,
            success=bool(seen.success),
            driver=rules.driver,
            device=self._device.name,
            instruction=self._lanes.env.task.instructions[int(seen.instruction)],
            message=self._shown(now),
        )

    def _shown(self, now: Session) -> str:
        """What the person should know now."""
        if self._steps < self._until:
            return self._message
        return "recording begins when you move" if now.waiting else ""

    def _build_frame(
        self, step: int, seen: Seen, pictures: jax.Array | None, status: Status
    ) -> Frame:
        """A frame, once its pictures are drawn."""
        physics = seen.physics
        xpos, xquat = np.asarray(physics.xpos), np.asarray(physics.xquat)
        return Frame(
            step=step,
            time=step * self._clock.dt,
            images=self._images(pictures),
            observation=np.asarray(seen.obs),
            observation_names=self._names,
            action=np.asarray(seen.action),
            reward=float(seen.reward),
            qpos=np.asarray(physics.qpos),
            mocap_pos=np.asarray(physics.mocap_pos),
            mocap_quat=np.asarray(physics.mocap_quat),
            bodies={name: (xpos[i], xquat[i]) for i, name in self._bodies},
            status=status,
        )

    def _report(self) -> Report:
        episodes = self._take.recorder.episodes if self._take else 0
        return Report(self._clock.timing(), episodes, self._error)


def _outcome(seen: Seen, moved: bool) -> Outcome:
    if not moved:
        return Outcome()
    return Outcome(
        steps=int(seen.step_count),
        terminated=bool(seen.terminated),
        success=bool(seen.success),
        diverged=bool(seen.diverged),
    )


def _bodies(env: Env) -> list[tuple[int, str]]:
    """Ids and names of the bodies that have a name, without the world."""
    model = env.engine.model
    named = [(i, model.body(i).name) for i in range(1, model.nbody)]
    return [(i, name) for i, name in named if name]


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Python's own pauses made short: what lives now is not collected, and threads take turns."""
    interval = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(0.0005)  # [s] another thread may keep this one waiting for that long
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()
