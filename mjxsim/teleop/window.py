"""A window: what the cameras see, how the session stands, which key does what."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mjxsim.teleop.devices.base import DeviceError
from mjxsim.teleop.devices.sdl import SdlEvents
from mjxsim.teleop.frame import Frame, Status

if TYPE_CHECKING:
    import pygame
    import pygame.font

_PICTURE = 384  # [pixels] of each camera's picture in the window
_SIDE = 260  # of the column of keys
_BAR = 124  # of the status below
_MARGIN = 12
_BACK, _TEXT, _DIM = (24, 26, 30), (226, 229, 233), (140, 146, 154)
_RED, _GREEN, _AMBER, _GREY = (226, 62, 54), (62, 178, 98), (230, 168, 42), (74, 80, 88)
_RATE = 30.0  # [Hz] at which it is drawn at most


class Window:
    """Shows the newest frame. Made, pumped and drawn on one thread, on macOS the main one."""

    def __init__(self, events: SdlEvents, cameras: Sequence[str], help: Sequence[str]) -> None:
        """Opens it.

        Args:
          events: whose queue it pumps.
          cameras: the pictures it will show.
          help: lines for the column of keys.

        Raises:
          DeviceError: there is no display.
        """
        import pygame
        import pygame.font

        self._pygame, self._events = pygame, events
        self._cameras, self._help = tuple(cameras), tuple(help)
        pygame.font.init()
        self._small = pygame.font.Font(None, 19)
        self._font = pygame.font.Font(None, 23)
        self._large = pygame.font.Font(None, 30)
        rows = len(self._help) * 19 + 2 * _MARGIN + 26
        size = (
            max(1, len(self._cameras)) * (_PICTURE + _MARGIN) + _MARGIN + _SIDE,
            max(_PICTURE + 2 * _MARGIN + 22 + _BAR, rows),
        )
        try:
            self._screen = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            raise DeviceError(f"no window: {error}") from error
        pygame.display.set_caption("mjxsim")
        self._newest: Frame | None = None
        self._drawn: Frame | None = None
        self._closed = False

    def show(self, frame: Frame) -> None:
        """Takes a frame, from any thread; it is drawn by `step`."""
        self._newest = frame

    def close(self) -> None:
        """Nothing: the thread that opened the window closes it by `shut`."""

    def shut(self) -> None:
        """Closes the window, on the thread that opened it."""
        if not self._closed:
            self._closed = True
            self._pygame.display.quit()

    def step(self) -> None:
        """Takes the events that have come, and draws the newest frame; 1/30 s at most between."""
        began = time.perf_counter()
        self._events.pump()
        frame = self._newest
        if frame is not None and frame is not self._drawn:
            self._draw(frame)
            self._drawn = frame
        elif frame is None:
            self._wait_sign()
        left = 1.0 / _RATE - (time.perf_counter() - began)
        # Events are taken far more often than pictures are drawn: a key must not wait for those.
        while left > 0.0:
            time.sleep(min(left, 0.004))
            self._events.pump()
            left = 1.0 / _RATE - (time.perf_counter() - began)

    def _wait_sign(self) -> None:
        self._screen.fill(_BACK)
        self._write("compiling ...", self._large, _TEXT, (_MARGIN, _MARGIN))
        self._keys()
        self._pygame.display.flip()

    def _draw(self, frame: Frame) -> None:
        pygame, status = self._pygame, frame.status
        self._screen.fill(_BACK)
        x = _MARGIN
        for name in self._cameras or ("",):
            box = pygame.Rect(x, _MARGIN, _PICTURE, _PICTURE)
            image = frame.images.get(name)
            if image is not None:
                # pygame's first axis is x.
                surface = pygame.surfarray.make_surface(np.swapaxes(image, 0, 1))
                self._screen.blit(pygame.transform.scale(surface, box.size), box)
            else:
                self._write("no camera", self._font, _DIM, (x + 8, _MARGIN + 8))
            pygame.draw.rect(self._screen, _border(status), box.inflate(6, 6), width=3)
            self._write(name, self._small, _DIM, (x, _MARGIN + _PICTURE + 6))
            x += _PICTURE + _MARGIN
        self._lamp(status)
        self._bar(frame)
        self._keys()
        pygame.display.flip()

    def _lamp(self, status: Status) -> None:
        """The recording light."""
        text = "REC" if status.recording else "not recording"
        colour = _RED if status.recording else _GREY
        center = (_MARGIN + 16, _MARGIN + 18)
        label = self._font.render(text, True, _TEXT)
        back = self._pygame.Rect(_MARGIN + 2, _MARGIN + 4, label.get_width() + 42, 28)
        self._pygame.draw.rect(self._screen, _BACK, back, border_radius=6)
        self._pygame.draw.circle(self._screen, colour, center, 9)
        self._screen.blit(label, (center[0] + 16, center[1] - label.get_height() // 2))

    def _bar(self, frame: Frame) -> None:
        s = frame.status
        top = _PICTURE + 2 * _MARGIN + 20
        who = "you steer" if s.intervening else f"{s.driver} steers"
        counted = f"{s.episode} recorded" + (f" of {s.episodes}" if s.episodes else "")
        words = [who, f"lane {s.lane + 1} of {s.lanes}", counted, f"step {s.step}"]
        if s.success:
            words.append("success")
        if s.paused:
            words.append("PAUSED")
        self._write("   ".join(words), self._font, _TEXT, (_MARGIN, top))
        behind = s.measured_rate < 0.95 * s.rate and not s.paused
        timing = (
            f"{s.device}   {s.measured_rate:.1f} of {s.rate:.1f} Hz   "
            f"speed {s.speed:g}   late {s.late}   reward {frame.reward:.2f}"
        )
        self._write(timing, self._small, _AMBER if behind else _DIM, (_MARGIN, top + 26))
        self._write(s.instruction, self._small, _DIM, (_MARGIN, top + 46))
        self._wrap(s.message, self._font, _AMBER, (_MARGIN, top + 68))

    def _keys(self) -> None:
        left = self._screen.get_width() - _SIDE + _MARGIN
        self._write("keys", self._font, _TEXT, (left, _MARGIN))
        for i, line in enumerate(self._help):
            self._write(line, self._small, _DIM, (left, _MARGIN + 26 + 19 * i))

    def _wrap(
        self, text: str, font: "pygame.font.Font", colour: tuple[int, int, int], at: tuple[int, int]
    ) -> None:
        """Writes as many lines as fit under the pictures."""
        width, (x, y), line = self._screen.get_width() - _SIDE - _MARGIN, at, ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and font.size(longer)[0] > width:
                self._write(line, font, colour, (x, y))
                y, longer = y + font.get_linesize(), word
            line = longer
        self._write(line, font, colour, (x, y))

    def _write(
        self, text: str, font: "pygame.font.Font", colour: tuple[int, int, int], at: tuple[int, int]
    ) -> None:
        if text:
            self._screen.blit(font.render(text, True, colour), at)


def _border(status: Status) -> tuple[int, int, int]:
    if status.success:
        return _GREEN
    return _AMBER if status.intervening else _GREY
