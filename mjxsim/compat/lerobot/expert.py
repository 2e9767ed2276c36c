"""A scripted expert as one of LeRobot's teleoperators."""

import time
from typing import Any

from lerobot.teleoperators.teleoperator import Teleoperator
from lerobot.teleoperators.utils import TeleopEvents

from mjxsim.compat.lerobot import arms
from mjxsim.compat.lerobot.cell import Cell
from mjxsim.compat.lerobot.command_line import FPS
from mjxsim.compat.lerobot.config_expert import SimExpertConfig
from mjxsim.compat.lerobot.guide import Guide
from mjxsim.compat.lerobot.rounds import Rounds
from mjxsim.robots.lerobot import JOINTS, to_features


class SimExpert(Teleoperator):
    """Says where a leader arm would be if the task's expert held it; degrees and 0 to 100."""

    config_class = SimExpertConfig
    name = "mjxsim_expert"

    def __init__(self, config: SimExpertConfig) -> None:
        super().__init__(config)
        self.config = config
        self._cell: Cell | None = None
        self._guide: Guide | None = None
        self._episode = -1
        self._rounds = Rounds(config.episode_time_s or 0.0, config.reset_time_s or 0.0)

    @property
    def action_features(self) -> dict[str, Any]:
        """Six positions."""
        return {f"{name}.pos": float for name in JOINTS}

    @property
    def feedback_features(self) -> dict[str, Any]:
        """None."""
        return {}

    @property
    def is_connected(self) -> bool:
        """Whether it has an arm to drive."""
        return self._cell is not None

    def connect(self, calibrate: bool = True) -> None:
        """Takes hold of the simulated arm, which may not be connected yet.

        Raises:
          RuntimeError: there is no such arm in this process; one line.
        """
        del calibrate
        self._cell = arms.find(self.config.robot_id).cell
        self._guide = Guide(self._cell.arm, self.config.fps or FPS)
        self._guide.expert(self._cell.state)  # compiled before anybody waits for it
        self._guide.restart()

    @property
    def is_calibrated(self) -> bool:
        """A script needs no calibration."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def get_action(self) -> dict[str, Any]:
        """Where the joints should go now; during a pause, where they rest."""
        cell, guide = self._held()
        before = self._rounds.phase
        self._rounds = self._rounds.at(time.perf_counter())
        if self._rounds.phase == "reset":
            if before == "record":
                cell.restart()
            return to_features(cell.rest)
        if self._episode != cell.episode:
            self._episode = cell.episode
            guide.restart()
        return to_features(guide.expert(cell.state))

    def get_teleop_events(self) -> dict[Any, bool]:
        """What LeRobot's human-in-the-loop recorder asks too: the script always intervenes."""
        cell, _ = self._held()
        sight = cell.look()
        return {
            TeleopEvents.IS_INTERVENTION: True,
            TeleopEvents.TERMINATE_EPISODE: sight.failed,
            TeleopEvents.SUCCESS: sight.succeeded,
            TeleopEvents.RERECORD_EPISODE: False,
        }

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """Nothing is felt."""
        del feedback

    def disconnect(self) -> None:
        """Lets go of the arm."""
        self._cell = self._guide = None

    def _held(self) -> tuple[Cell, Guide]:
        if self._cell is None or self._guide is None:
            raise RuntimeError(f"{self} is not connected: call connect() first")
        return self._cell, self._guide
