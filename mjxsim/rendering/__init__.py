"""Pictures of a world."""

from mjxsim.rendering.backends import RENDERERS, Renderer, make_renderer, make_renderers
from mjxsim.rendering.gl import GLRenderer, NoRendererError
from mjxsim.rendering.png import png
from mjxsim.rendering.render import Image, View, render, render_cameras
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Lights, Visual

__all__ = [
    "RENDERERS",
    "GLRenderer",
    "Image",
    "Lights",
    "NoRendererError",
    "Renderer",
    "Scene",
    "View",
    "Visual",
    "make_renderer",
    "make_renderers",
    "png",
    "render",
    "render_cameras",
]
