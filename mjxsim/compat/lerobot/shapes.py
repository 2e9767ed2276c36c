"""Prints the shapes of the world of a JSON specification: see `spec.measure`."""

import dataclasses
import json
import sys

from mjxsim.compat.lerobot.spec import WorldSpec
from mjxsim.compat.lerobot.view import SeenEnv


def main() -> None:
    """Reads the first argument, writes a line of JSON; what is wrong is one line and status 1."""
    try:
        spec = WorldSpec.from_json(sys.argv[1])
        print(json.dumps(dataclasses.asdict(SeenEnv.build(spec).shapes)))
    except (ValueError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
