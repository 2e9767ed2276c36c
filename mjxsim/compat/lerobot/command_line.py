"""What the recorder's command line says of itself, for plugins that must keep to it."""

from lerobot.configs import parser

FPS = 30.0  # lerobot-record's default


def flag(name: str, default: float) -> float:
    """The number after `--name`, or the recorder's default."""
    said = parser.parse_arg(name)
    return default if said is None else float(said)
