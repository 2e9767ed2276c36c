"""pick_cube as most people would write it: plain C MuJoCo, NumPy, one gymnasium environment.

The same compiled model, substeps, joint-delta control, reward terms and restarts as mjxsim's task,
so that what differs is how worlds are stepped.
"""

import gymnasium
import mujoco
import numpy as np

import mjxsim
from mjxsim.control import ControlConfig

CONTROL = ControlConfig(mode="joint_delta")


class PlainPickCube(gymnasium.Env[np.ndarray, np.ndarray]):
    """One world; an action moves seven joint targets and the gripper."""

    def __init__(self) -> None:
        env = mjxsim.make("pick_cube", engine="c", control=CONTROL, announce=False)
        self.model, self.config, self.substeps = env.engine.model, env.task.config, 0
        self.substeps = round(self.config.control_dt / self.model.opt.timestep)
        self.data = mujoco.MjData(self.model)
        self.cube = self.model.joint("cube_joint").qposadr[0]
        self.cube_body, self.tcp = self.model.body("cube").id, self.model.site("tcp").id
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (8,), np.float32)
        self.observation_space = gymnasium.spaces.Box(
            -np.inf, np.inf, (env.observation_size,), np.float32
        )
        self.lower, self.upper = self.model.jnt_range[:7].T

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        """Draws the cube, its yaw, the goal and the arm's start."""
        super().reset(seed=seed)
        c, rng, data = self.config, self.np_random, self.data
        mujoco.mj_resetDataKeyframe(self.model, data, 0)
        yaw = rng.uniform(-c.cube_yaw, c.cube_yaw)
        data.qpos[self.cube : self.cube + 2] = rng.uniform(c.cube_low, c.cube_high)
        data.qpos[self.cube + 3 : self.cube + 7] = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
        data.qpos[:7] += rng.uniform(-c.joint_noise, c.joint_noise, 7)
        data.ctrl[:7] = data.qpos[:7]
        self.goal = data.mocap_pos[0] = rng.uniform(c.goal_low, c.goal_high)
        self.target, self.steps, self.held = data.qpos[:7].copy(), 0, 0
        mujoco.mj_forward(self.model, data)
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One control step."""
        data = self.data
        target = self.target + CONTROL.max_joint_step * np.clip(action[:7], -1.0, 1.0)
        near = data.qpos[:7]
        target = np.clip(target, near - CONTROL.joint_leash, near + CONTROL.joint_leash)
        self.target = data.ctrl[:7] = np.clip(target, self.lower, self.upper)
        data.ctrl[7] = 0.04 if action[7] > 0 else 0.0
        mujoco.mj_step(self.model, data, self.substeps)
        mujoco.mj_forward(self.model, data)
        reward, success = self._reward()
        self.steps += 1
        truncated = self.steps >= self.config.episode_steps
        return self._observe(), reward, False, truncated, {"is_success": success}

    def _reward(self) -> tuple[float, bool]:
        cube, c = self.data.xpos[self.cube_body], self.config
        to_cube = float(np.linalg.norm(cube - self.data.site_xpos[self.tcp]))
        to_goal = float(np.linalg.norm(self.goal - cube))
        grasped = (self.data.sensordata[:2] > c.grasp_force).all() and to_cube < c.half_size
        lifted = grasped and cube[2] > c.half_size + 0.01
        at_goal = to_goal < c.threshold
        self.held = self.held + 1 if at_goal else 0
        place = 2.0 * (1.0 - np.tanh(to_goal / 0.15)) * lifted
        reward = 1.0 - np.tanh(to_cube / 0.1) + grasped + place + 3.0 * at_goal
        return float(reward), self.held >= c.hold_steps

    def _observe(self) -> np.ndarray:
        d = self.data
        cube, tcp = d.xpos[self.cube_body], d.site_xpos[self.tcp]
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, d.xquat[self.cube_body])
        columns = rotation.reshape(3, 3)[:, :2].T.ravel()
        opening = [d.qpos[7:9].sum() / 0.08, d.ctrl[7] / 0.04]
        parts = [d.qpos[:7], d.qvel[:7], 10.0 * (d.ctrl[:7] - d.qpos[:7]), opening, tcp]
        parts += [np.tanh(d.sensordata[:2] / 20.0), cube, columns, cube - tcp]
        parts += [self.goal, self.goal - cube]
        return np.concatenate(parts).astype(np.float32)
