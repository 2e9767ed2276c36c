"""Scenes: robot, table, objects and cameras composed into one compiled model."""

from mjxsim.scenes.fixtures import Fixture
from mjxsim.scenes.objects import ObjectSpec
from mjxsim.scenes.options import SceneOptions
from mjxsim.scenes.tabletop import GOAL_BODY, TABLE_GEOM, build

__all__ = ["GOAL_BODY", "TABLE_GEOM", "Fixture", "ObjectSpec", "SceneOptions", "build"]
