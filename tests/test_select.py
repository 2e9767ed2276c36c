"""Which engine is taken, and what is said of a GPU that JAX does not see."""

import pathlib

import jax
import pytest

from mjxsim.physics import select


@pytest.mark.parametrize(
    ("driver", "asked", "hint"), [(True, None, True), (True, "cpu", False), (False, None, False)]
)
def test_idle_gpu_is_named_unless_the_cpu_was_asked_for(
    driver: bool,
    asked: str | None,
    hint: bool,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = tmp_path / "nvidia0"
    if driver:
        device.touch()
    before = jax.config.jax_platforms
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(select, "_NVIDIA", (tmp_path / "version", device))
    try:
        jax.config.update("jax_platforms", asked)
        name, why = select.choose("auto")
    finally:
        jax.config.update("jax_platforms", before)
    assert name == "c"
    assert ("JAX has no CUDA: pip install 'mjxsim[cuda]'" in why) == hint
