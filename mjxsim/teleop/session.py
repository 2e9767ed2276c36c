"""What a person's events do: a frozen state and one pure function, without a clock or an engine."""

import dataclasses
from typing import Literal

from mjxsim.teleop.devices.base import Command, Event
from mjxsim.teleop.lanes import DriverName

SPEEDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # simulated seconds per wall second
_MOVED = 0.05  # [rad] by which a leader arm's joint has to move to count as moved

# What becomes of the frames taken since the lane's episode began.
Verdict = Literal["success", "failure", "discard"]


@dataclasses.dataclass(frozen=True)
class Rules:
    """What does not change during a session."""

    lanes: int
    driver: DriverName
    arms: int = 1
    can_record: bool = False
    episodes: int | None = None  # how many to record; None for as many as the person likes
    episode_steps: int | None = None  # after which the person's episode ends
    end_on_success: bool = False  # it ends when the task says so, without a key


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the last control step of the person's lane came to."""

    steps: int = 0  # since its episode began
    terminated: bool = False
    success: bool = False
    diverged: bool = False


@dataclasses.dataclass(frozen=True)
class Session:
    """How it stands between two control steps."""

    lane: int = 0
    arm: int = 0
    speed: float = 1.0
    paused: bool = False
    taken: bool = True  # the person has taken the lane over, by its toggle
    recording: bool = False
    waiting: bool = False  # the lane stands at its start until the person moves
    number: int = 0  # of starts so far
    saved: int = 0  # episodes
    resting: tuple[float, ...] | None = None  # [rad] where a leader arm was when it began to wait


@dataclasses.dataclass(frozen=True)
class Decision:
    """What to do in this control step."""

    steer: bool = True
    keep: bool = True
    freeze: bool = False
    restart: bool = False
    verdict: Verdict | None = None  # of the open episode, before anything else
    messages: tuple[str, ...] = ()
    quit: bool = False


def begin(rules: Rules, *, saved: int = 0) -> Session:
    """A session that is about to make its first step, which must restart the lane."""
    session = Session(recording=rules.can_record, saved=saved)
    return _restarted(session, rules)


def react(
    session: Session, rules: Rules, command: Command, outcome: Outcome
) -> tuple[Session, Decision]:
    """The session after a command, and what to do.

    Args:
      session: as it was.
      rules: what does not change.
      command: of the person, every number finite.
      outcome: of the last step.
    """
    messages: list[str] = []
    verdict: Verdict | None = None
    restart = False
    open_ = session.recording and not session.waiting and outcome.steps > 0

    ended, why = _ended(session, rules, command, outcome)
    if ended is not None:
        verdict, restart = ended if open_ else None, True
        messages.append(why)
    for event in command.events:
        match event:
            case Event.QUIT:
                if open_ and verdict is None:
                    verdict = "discard"
                    messages.append("stopped: the episode in progress is not kept")
                return session, Decision(verdict=verdict, quit=True, messages=tuple(messages))
            case Event.INTERVENE:
                session = dataclasses.replace(session, taken=not session.taken)
                messages.append("you steer" if session.taken else f"{rules.driver} steers")
            case Event.PAUSE:
                session = dataclasses.replace(session, paused=not session.paused)
                messages.append("paused" if session.paused else "goes on")
            case Event.FASTER | Event.SLOWER:
                session = _changed_speed(session, 1 if event is Event.FASTER else -1)
                messages.append(f"speed {session.speed:g}")
            case Event.NEXT_ARM:
                session = dataclasses.replace(session, arm=(session.arm + 1) % rules.arms)
                messages.append(f"arm {session.arm + 1} of {rules.arms}")
            case Event.NEXT_LANE | Event.PREVIOUS_LANE if open_ and not restart:
                messages.append("an episode is being recorded: end it before you change lanes")
            case Event.NEXT_LANE | Event.PREVIOUS_LANE:
                step = 1 if event is Event.NEXT_LANE else -1
                lane = (session.lane + step) % rules.lanes
                session = dataclasses.replace(session, lane=lane, taken=rules.driver == "hold")
                restart = restart or session.recording
                outcome = Outcome()
                messages.append(f"lane {lane + 1} of {rules.lanes}")
            case Event.SUCCESS | Event.FAILURE if not restart:
                restart = True
                good = event is Event.SUCCESS
                if open_:
                    verdict = "success" if good else "failure"
                messages.append(
                    f"marked as a {'success' if good else 'failure'}"
                    + ("" if open_ else ", but nothing was recorded")
                )
            case Event.RERECORD | Event.RESET if not restart:
                restart = True
                if open_:
                    verdict = "discard"
                messages.append("begun again; the attempt is not kept" if open_ else "begun again")
            case Event.RECORD if not rules.can_record:
                messages.append("nothing to record into: give --output-dir")
            case Event.RECORD:
                if open_ and verdict is None:
                    verdict = "discard"
                session = dataclasses.replace(session, recording=not session.recording)
                restart = True
                messages.append("recording" if session.recording else "not recording")
            case _:
                pass  # a second mark of an episode that has just ended

    if verdict in ("success", "failure"):
        session = dataclasses.replace(session, saved=session.saved + 1)
        if rules.episodes is not None and session.saved >= rules.episodes:
            messages.append(f"all {rules.episodes} episodes are recorded")
            return session, Decision(verdict=verdict, quit=True, messages=tuple(messages))
    if restart:
        session = _restarted(session, rules)
    elif session.waiting and not session.paused and _moves(session, command):
        session = dataclasses.replace(session, waiting=False)
    if session.waiting and session.resting is None and command.joints is not None:
        session = dataclasses.replace(session, resting=command.joints)
    steer = _steers(session, rules, command)
    return session, Decision(
        steer=steer,
        keep=session.recording or steer or rules.driver == "hold",
        freeze=session.waiting,
        restart=restart,
        verdict=verdict,
        messages=tuple(messages),
    )


def steers(session: Session, rules: Rules, command: Command) -> bool:
    """Whether the person steers the lane."""
    return _steers(session, rules, command)


def _steers(session: Session, rules: Rules, command: Command) -> bool:
    if rules.driver == "hold":
        return session.taken  # nobody else would; a held button is not asked for
    return session.taken or bool(command.intervene)


def _ended(
    session: Session, rules: Rules, command: Command, outcome: Outcome
) -> tuple[Verdict | None, str]:
    """What the last step makes of the episode, None while it goes on."""
    mine = session.recording or rules.driver == "hold" or _steers(session, rules, command)
    if not mine or session.waiting or outcome.steps == 0:
        return None, ""  # a lane of others starts anew by itself
    if outcome.diverged:
        return "discard", "the simulation broke down: the episode begins again"
    verdict: Verdict = "success" if outcome.success else "failure"
    if outcome.success and rules.end_on_success:
        return verdict, "success"
    if outcome.terminated:
        return verdict, f"the episode ended: {verdict}"
    if rules.episode_steps is not None and outcome.steps >= rules.episode_steps:
        return verdict, f"out of time: {verdict}"
    return None, ""


def _restarted(session: Session, rules: Rules) -> Session:
    hold = rules.driver == "hold"
    return dataclasses.replace(
        session,
        number=session.number + 1,
        taken=hold,  # as in gym-hil, a reset hands the lane back
        waiting=session.recording and hold,
        resting=None,
    )


def _moves(session: Session, command: Command) -> bool:
    """Whether the person has begun; a leader arm always says something, so it has to move."""
    if command.joints is None:
        return command.moves
    if session.resting is None:
        return False
    pairs = zip(command.joints, session.resting, strict=True)
    return any(abs(now - then) > _MOVED for now, then in pairs)


def _changed_speed(session: Session, by: int) -> Session:
    index = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - session.speed)) + by
    return dataclasses.replace(session, speed=SPEEDS[min(max(index, 0), len(SPEEDS) - 1)])
