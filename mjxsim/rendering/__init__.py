"""Pictures of a world."""

from mjxsim.rendering.gl import GLRenderer, NoRendererError

__all__ = ["GLRenderer", "NoRendererError"]
