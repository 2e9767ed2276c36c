"""Pictures of a world."""

from mjxsim.rendering.gl import GLRenderer, NoRendererError
from mjxsim.rendering.png import png

__all__ = ["GLRenderer", "NoRendererError", "png"]
