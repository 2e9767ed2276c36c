"""What a person's events do, without an engine or a clock."""

import pytest

from mjxsim.teleop import session
from mjxsim.teleop.devices.base import Command, Event
from mjxsim.teleop.session import Decision, Outcome, Rules, Session

RUNNING = Outcome(steps=7)


def rules(**changes: object) -> Rules:
    return Rules(**{"lanes": 4, "driver": "hold", "can_record": True, **changes})  # type: ignore[arg-type]


def press(
    now: Session, of: Rules, *events: Event, outcome: Outcome = RUNNING, **command: object
) -> tuple[Session, Decision]:
    return session.react(now, of, Command(events=events, **command), outcome)  # type: ignore[arg-type]


def recording(of: Rules) -> Session:
    """A session whose person has begun to move."""
    now, decision = session.react(session.begin(of), of, Command(linear=(1.0, 0.0, 0.0)), Outcome())
    assert not decision.restart
    return now


def test_a_recording_waits_for_the_person() -> None:
    of = rules()
    now, decision = press(session.begin(of), of, outcome=Outcome())
    assert now.recording and now.waiting and decision.freeze
    now, decision = press(now, of, outcome=Outcome(), linear=(0.0, 0.5, 0.0))
    assert not now.waiting and not decision.freeze and decision.steer and decision.keep


def test_a_leader_arm_has_to_move_to_begin() -> None:
    of = rules()
    now, decision = press(session.begin(of), of, outcome=Outcome(), joints=(0.1, 0.2))
    now, decision = press(now, of, outcome=Outcome(), joints=(0.11, 0.21))
    assert decision.freeze
    now, decision = press(now, of, outcome=Outcome(), joints=(0.2, 0.2))
    assert not decision.freeze


@pytest.mark.parametrize(
    ("event", "verdict", "saved"),
    [
        (Event.SUCCESS, "success", 1),
        (Event.FAILURE, "failure", 1),
        (Event.RERECORD, "discard", 0),
        (Event.RESET, "discard", 0),
    ],
)
def test_marks_end_the_episode_and_begin_the_next(event: Event, verdict: str, saved: int) -> None:
    of = rules()
    before = recording(of)
    now, decision = press(before, of, event)
    assert decision.verdict == verdict and decision.restart and not decision.quit
    assert now.saved == saved and now.waiting and now.recording
    assert now.number == before.number + 1, "another start"


def test_two_marks_at_once_end_one_episode() -> None:
    of = rules()
    now, decision = press(recording(of), of, Event.SUCCESS, Event.FAILURE, Event.SUCCESS)
    assert decision.verdict == "success" and now.saved == 1


def test_a_mark_before_the_first_frame_saves_nothing() -> None:
    of = rules()
    now, decision = press(session.begin(of), of, Event.SUCCESS, outcome=Outcome())
    assert decision.verdict is None and decision.restart and now.saved == 0
    assert "nothing was recorded" in decision.messages[0]


def test_the_last_wanted_episode_ends_the_session() -> None:
    of = rules(episodes=2)
    now = recording(of)
    now, decision = press(now, of, Event.SUCCESS)
    assert not decision.quit
    now, _ = press(now, of, outcome=Outcome(), linear=(1.0, 0.0, 0.0))
    now, decision = press(now, of, Event.FAILURE)
    assert decision.quit and decision.verdict == "failure" and now.saved == 2


def test_quitting_forgets_the_open_episode_and_says_so() -> None:
    of = rules()
    _, decision = press(recording(of), of, Event.QUIT)
    assert decision.quit and decision.verdict == "discard"
    assert "not kept" in decision.messages[0]


def test_lanes_go_around_but_not_while_an_episode_is_open() -> None:
    of = rules(can_record=False)
    now, decision = press(session.begin(of), of, Event.PREVIOUS_LANE)
    assert now.lane == 3 and not decision.restart, "the other lane goes on as it is"
    now, _ = press(now, of, Event.NEXT_LANE)
    assert now.lane == 0
    of = rules()
    now, decision = press(recording(of), of, Event.NEXT_LANE)
    assert now.lane == 0 and decision.verdict is None
    assert "before you change lanes" in decision.messages[0]
    now, decision = press(recording(of), of, Event.SUCCESS, Event.NEXT_LANE)
    assert now.lane == 1 and decision.verdict == "success" and decision.restart


def test_taking_over_from_a_policy_and_handing_back() -> None:
    of = rules(driver="policy", can_record=False)
    now = session.begin(of)
    assert not now.taken and not now.waiting
    now, decision = press(now, of)
    assert not decision.steer and not decision.keep, "the policy's lane ends and begins by itself"
    now, decision = press(now, of, Event.INTERVENE)
    assert decision.steer and decision.keep and decision.messages == ("you steer",)
    now, decision = press(now, of, Event.INTERVENE)
    assert not decision.steer and decision.messages == ("policy steers",)
    _, decision = press(now, of, intervene=True)
    assert decision.steer, "a button that is held"
    now, _ = press(now, of, Event.INTERVENE)
    now, decision = press(now, of, Event.RESET)
    assert not decision.steer, "a reset hands the lane back"


def test_nobody_else_drives_a_lane_that_would_hold() -> None:
    of = rules(can_record=False)
    _, decision = press(session.begin(of), of, intervene=False)
    assert decision.steer
    _, decision = press(session.begin(of), of, Event.INTERVENE)
    assert not decision.steer and decision.keep


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome(steps=9, terminated=True), "failure"),
        (Outcome(steps=9, terminated=True, success=True), "success"),
        (Outcome(steps=9, terminated=True, diverged=True), "discard"),
        (Outcome(steps=600), "failure"),
        (Outcome(steps=600, success=True), "success"),
    ],
)
def test_episodes_that_end_by_themselves(outcome: Outcome, verdict: str) -> None:
    of = rules(episode_steps=600)
    now, decision = press(recording(of), of, outcome=outcome)
    assert decision.verdict == verdict and decision.restart
    assert now.saved == (verdict != "discard")


def test_success_ends_an_episode_only_if_asked_to() -> None:
    won = Outcome(steps=40, success=True)
    _, decision = press(recording(rules()), rules(), outcome=won)
    assert decision.verdict is None
    of = rules(end_on_success=True)
    _, decision = press(recording(of), of, outcome=won)
    assert decision.verdict == "success" and decision.restart


def test_recording_is_switched_on_and_off() -> None:
    of = rules()
    now, decision = press(recording(of), of, Event.RECORD)
    assert not now.recording and decision.verdict == "discard" and decision.restart
    now, decision = press(now, of, Event.RECORD)
    assert now.recording and decision.verdict is None and decision.restart
    of = rules(can_record=False)
    _, decision = press(session.begin(of), of, Event.RECORD)
    assert "--output-dir" in decision.messages[0]


def test_pause_and_speed() -> None:
    of = rules()
    now, _ = press(recording(of), of, Event.PAUSE)
    assert now.paused
    now, _ = press(now, of, Event.PAUSE, Event.FASTER, Event.FASTER)
    assert not now.paused and now.speed == 2.0
    now, _ = press(now, of, *[Event.SLOWER] * 20)
    assert now.speed == 0.1, "no slower than the slowest"


def test_arms_take_turns() -> None:
    of = rules(arms=2)
    now, _ = press(recording(of), of, Event.NEXT_ARM)
    assert now.arm == 1
    now, _ = press(now, of, Event.NEXT_ARM)
    assert now.arm == 0
