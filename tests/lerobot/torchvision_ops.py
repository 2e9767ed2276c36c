"""Makes torchvision importable beside a CPU build of torch that its compiled part does not fit.

LeRobot imports torchvision for its transforms and its ResNet, which are Python. Where only the CUDA
build of torchvision can be had, its compiled operators do not load beside a CPU torch, and the
import ends in "operator torchvision::nms does not exist". Declaring the operators without giving
them a body is enough: nothing here calls them.
"""

import importlib.util
import pathlib

import torch

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


def declare() -> torch.library.Library | None:
    """Declares torchvision's operators if its own do not load; keep what it returns alive."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    compiled = pathlib.Path(spec.origin).parent / "_C.so"
    try:
        torch.ops.load_library(str(compiled))
    except OSError:
        if _declared():
            return None
        library = torch.library.Library("torchvision", "DEF")
        for operator in _OPERATORS:
            library.define(operator)
        return library
    return None


def _declared() -> bool:
    try:
        return bool(torch.ops.torchvision.nms)
    except AttributeError:
        return False
