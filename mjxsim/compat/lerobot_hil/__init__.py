"""gym-hil's ids by mjxsim in LeRobot's human-in-the-loop recorder.

LeRobot's `gym_manipulator` has `import gym_hil` and `gym.make("gym_hil/...")` written into it. With

    python -m lerobot.rl.gym_manipulator --env.discover_packages_path=mjxsim.compat.lerobot_hil ...

it imports this package first: the ids under "gym_hil/" are then mjxsim's, and gym-hil, which it
looks for, is there: an empty module of that name where it is not installed. Nothing else imports
this package, so that gym-hil stays what it is everywhere else.
"""

from mjxsim.compat.lerobot.stand_in import install
from mjxsim.envs.gym_hil_ids import register

register(override=True)
install()
