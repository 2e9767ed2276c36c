"""Makes torchvision importable beside a CPU build of torch that its compiled part does not fit.

LeRobot imports torchvision for its transforms and its ResNet, which are Python. Where only the CUDA
build of torchvision can be had, its compiled operators do not load beside a CPU torch, and the
import ends in "operator torchvision::nms does not exist". Declaring the operators without giving
them a body is enough: nothing here calls them.

LeRobot's own commands need it too. `python torchvision_ops.py` writes it into the environment of
the interpreter that runs it, where it waits for torchvision to be imported.
"""

import importlib.abc
import importlib.util
import pathlib
import shutil
import sys
import sysconfig
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor a, Tensor b, float c, int d, int e, int f, bool g) -> Tensor",
    "_roi_align_backward(Tensor a) -> Tensor",
    "qroi_align(Tensor a) -> Tensor",
    "ps_roi_align(Tensor a) -> Tensor",
    "_ps_roi_align_backward(Tensor a) -> Tensor",
    "roi_pool(Tensor a) -> Tensor",
    "_roi_pool_backward(Tensor a) -> Tensor",
    "ps_roi_pool(Tensor a) -> Tensor",
    "_ps_roi_pool_backward(Tensor a) -> Tensor",
    "deform_conv2d(Tensor a) -> Tensor",
    "_deform_conv2d_backward(Tensor a) -> Tensor",
)


def declare() -> object:
    """Declares torchvision's operators if its own do not load; keep what it returns alive."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _declared():
        return None
    compiled = pathlib.Path(spec.origin).parent / "_C.so"
    try:
        torch.ops.load_library(str(compiled))
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in _OPERATORS:
            library.define(operator)
        return library
    return None


def _declared() -> bool:
    import torch

    try:
        return bool(torch.ops.torchvision.nms)
    except AttributeError:
        return False


class _Finder(importlib.abc.MetaPathFinder):
    """Declares the operators just before torchvision is first looked for, and finds nothing."""

    def __init__(self) -> None:
        self._library: object = None
        self._asked = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname == "torchvision" and not self._asked:
            self._asked = True  # declare() looks for it too
            self._library = declare()
        return None


def wait() -> None:
    """From now on torchvision can be imported; costs nothing until it is."""
    sys.meta_path.insert(0, _Finder())


def install() -> pathlib.Path:
    """Has every start of this interpreter's environment wait; returns the file that does."""
    site = pathlib.Path(sysconfig.get_path("purelib"))
    shutil.copyfile(__file__, site / "_torchvision_ops.py")
    path = site / "_torchvision_ops.pth"
    path.write_text("import _torchvision_ops; _torchvision_ops.wait()\n")
    return path


if __name__ == "__main__":
    print(install())
