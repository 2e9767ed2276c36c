"""mjxsim inside LeRobot: environments for `lerobot-eval`, simulated arms for `lerobot-record`.

Importing this package loads nothing of LeRobot's. LeRobot finds what is here in one of two ways:

- the distribution `lerobot_robot_mjxsim` (in the folder plugin/ here) is installed:
  every LeRobot command imports it, and it calls `register`;
- `--env.discover_packages_path=mjxsim.compat.lerobot` (or `--robot.discover_packages_path=...`) on
  the command line, with mjxsim alone installed: LeRobot imports every module of this package.
"""

import importlib
import os

# Read when JAX starts. A policy's torch needs room on the same GPU, most of which JAX would take.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

_CONFIGS = ("config_env", "config_arms", "config_expert", "config_device")


def register() -> None:
    """Makes LeRobot know "mjxsim", "mjxsim_so100", "mjxsim_expert" and the others.

    Raises:
      ImportError: LeRobot is not installed; one line that says how to get it.
    """
    try:
        importlib.import_module("lerobot.configs")  # any folder of the name is a package "lerobot"
    except ImportError as error:
        raise ImportError(
            'LeRobot is not installed: python -m pip install "lerobot>=0.4.4" (in an environment '
            "of its own if it pins other versions than you have)"
        ) from error
    for name in _CONFIGS:
        importlib.import_module(f"{__name__}.{name}")
