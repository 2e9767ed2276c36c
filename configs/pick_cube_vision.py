"""Panda grasps a cube that only its wrist camera sees, in worlds that differ, and lifts it."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.envs import CameraConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.randomization import (
    ObjectPhysics,
    PhysicsRandomization,
    RandomizationConfig,
    Range,
    RobotPhysics,
)
from mjxsim.randomization.post_processing import PostProcessing
from mjxsim.randomization.visual_config import (
    Background,
    CameraRandomization,
    Lighting,
    Surface,
    Textures,
    VisualRandomization,
)
from mjxsim.tasks.pick_cube import PickCubeConfig

config = TrainConfig(
    task="pick_cube",
    task_config=PickCubeConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    # Where the cube is, the actor must see; the goal it is told.
    cameras=CameraConfig(
        names=("wrist",), hidden=("cube", "cube_rotation", "tcp_to_cube", "cube_to_goal")
    ),
    randomization=RandomizationConfig(
        physics=PhysicsRandomization(
            objects=ObjectPhysics(
                mass=Range(0.5, 2.0, "scale", "loguniform"), friction=Range(0.6, 1.2)
            ),
            robot=RobotPhysics(joint_damping=Range(0.7, 1.4, "scale")),
        ),
        visual=VisualRandomization(
            hand_camera=CameraRandomization(
                position=Range(-0.003, 0.003, "add"), rotation=Range(-0.02, 0.02, "add")
            ),
            lighting=Lighting(
                position=Range(-0.3, 0.3, "add"),
                intensity=Range(0.7, 1.3, "scale"),
                color=Range(0.9, 1.1, "scale"),
            ),
            textures=Textures(
                objects=Surface(tint=Range(0.8, 1.2, "scale")),
                table=Surface(tint=Range(0.6, 1.3, "scale"), specular=Range(0.0, 0.6)),
                robot=Surface(tint=Range(0.8, 1.2, "scale")),
            ),
            background=Background(sky=Range(0.2, 1.0)),
            post_processing=PostProcessing(exposure=Range(-0.3, 0.3), noise_std=Range(0.0, 0.02)),
        ),
    ),
    # The README's figures are from before the default bound_coefficient was what it is.
    ppo=PPOConfig(epochs=2, bound_coefficient=0.0),
    num_envs=256,
    total_steps=1_000_000,
)
