"""gym-hil's ids by mjxsim in LeRobot's human-in-the-loop recorder.

LeRobot's `gym_manipulator` has `import gym_hil` and `gym.make("gym_hil/...")` written into it. With

    python -m lerobot.rl.gym_manipulator --env.discover_packages_path=mjxsim.compat.lerobot_hil ...

it imports this package first: the ids under "gym_hil/" are then mjxsim's, and `import gym_hil`
finds gym-hil where it is installed, else an empty module of that name. Nothing else imports this
package, so that gym-hil stays what it is everywhere else.
"""

import importlib.machinery
import importlib.util
import sys

from mjxsim.compat.registration import register

_GYM_HIL = "gym_hil"

register(override=True)
if importlib.util.find_spec(_GYM_HIL) is None:
    empty = importlib.machinery.ModuleSpec(_GYM_HIL, loader=None)
    sys.modules[_GYM_HIL] = importlib.util.module_from_spec(empty)
