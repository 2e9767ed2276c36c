"""Where a page is served."""

import socket

LAST_PORT = 65535


def check_address(host: str, port: int) -> None:
    """Checks that this machine has an address `host`, and that there can be such a port.

    Whether the port is free is not asked: those who listen take the next one if it is not.

    Raises:
      ValueError: no such port.
      OSError: nothing can be listened at `host`; in a line that names it.
    """
    if not 0 <= port <= LAST_PORT:
        raise ValueError(f"a port is 0 (any) to {LAST_PORT}, got {port}")
    try:
        family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen at {host}: {error.strerror}") from error
