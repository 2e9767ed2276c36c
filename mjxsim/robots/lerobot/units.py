"""LeRobot's numbers for an SO arm: degrees for the arm's joints, 0 to 100 for the gripper.

LeRobot calls a joint `<name>.pos`. Its value is an affine function of our joint angle in rad:

    arm      value = sign * (angle - zero) * 180 / pi        [degrees]
    gripper  value = 100 * (angle - closed) / (open - closed)

Zero is the middle of the joint's range, as LeRobot's calibration takes it. A real arm's zero is the
middle of what was recorded when it was calibrated, so it differs by some degrees from arm to arm:
`dataclasses.replace(units, zero=...)` takes what was measured.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import overload

import jax
import numpy as np

from mjxsim.naming import unknown
from mjxsim.robots.lerobot.links import JOINTS

__all__ = ["LeRobotUnits", "from_features", "to_features"]


@dataclass(frozen=True)
class LeRobotUnits:
    """The two conventions of one robot; pure functions on numpy or JAX arrays of any batch shape.

    Attributes:
      sign: +1 or -1 for each arm joint.
      zero: Our angle of each arm joint where LeRobot's is 0 [rad].
      gripper: Our angle of the gripper closed (LeRobot's 0) and open (100) [rad].
    """

    sign: tuple[int, int, int, int, int]
    zero: tuple[float, float, float, float, float]
    gripper: tuple[float, float]

    @overload
    def from_radians(self, angles: np.ndarray) -> np.ndarray: ...

    @overload
    def from_radians(self, angles: jax.Array) -> jax.Array: ...

    def from_radians(self, angles: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
        """LeRobot's values (..., 6) [degrees, and 0-100] of our joint angles (..., 6) [rad].

        Serves qpos as well as ctrl, for our actuators take joint angles.
        """
        return (angles - self._offset) * self._scale

    @overload
    def to_radians(self, values: np.ndarray) -> np.ndarray: ...

    @overload
    def to_radians(self, values: jax.Array) -> jax.Array: ...

    def to_radians(self, values: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
        """Our joint angles (..., 6) [rad] of LeRobot's values (..., 6) [degrees, and 0-100]."""
        return values / self._scale + self._offset

    @property
    def _offset(self) -> np.ndarray:
        return np.array([*self.zero, self.gripper[0]])

    @property
    def _scale(self) -> np.ndarray:
        closed, opened = self.gripper
        return np.array([*(s * 180.0 / math.pi for s in self.sign), 100.0 / (opened - closed)])


def to_features(values: np.ndarray | jax.Array) -> dict[str, float]:
    """LeRobot's observation or action dict of one arm's values (6,) [degrees, and 0-100]."""
    return {f"{name}.pos": float(v) for name, v in zip(JOINTS, np.asarray(values), strict=True)}


def from_features(features: Mapping[str, float]) -> np.ndarray:
    """Values (6,) [degrees, and 0-100] of a LeRobot dict; what is not a joint is ignored.

    Raises:
      ValueError: a joint is missing; the message says which.
    """
    keys = [f"{name}.pos" for name in JOINTS]
    for key in keys:
        if key not in features:
            raise ValueError(f"feature '{key}' is missing: {unknown('feature', key, features)}")
    return np.array([features[key] for key in keys], float)
