"""The log of Rerun, read back with Rerun's own reader."""

import pathlib
import sys

import mujoco
import numpy as np
import pytest
from frames import frame

from mjxsim.robots import get
from mjxsim.tasks.pick_cube import PickCube, PickCubeConfig
from mjxsim.teleop import triangles
from mjxsim.teleop.rerun_log import RerunSink

STEPS = 40


@pytest.fixture(scope="module")
def panda() -> mujoco.MjModel:
    robot = get("panda")
    return PickCube.scene(PickCubeConfig().for_robot(robot), robot).compile()


class Log:
    """What is in a file: of each entity, the rows of each component with their steps."""

    def __init__(self, path: pathlib.Path) -> None:
        chunk = pytest.importorskip("rerun.chunk")
        reader = chunk.RrdReader(path)
        self.columns: dict[str, dict[str, list[tuple[int | None, object]]]] = {}
        for part in reader.stream().to_chunks():
            table = part.to_record_batch()
            steps = [None] * table.num_rows
            if not part.is_static:
                assert {"step", "time"} <= set(part.timeline_names)
                steps = table.column("step").to_pylist()
            entity = self.columns.setdefault(part.entity_path, {})
            for name in table.schema.names:
                if ":" in name:
                    rows = zip(steps, table.column(name).to_pylist(), strict=True)
                    entity.setdefault(name, []).extend(r for r in rows if r[1] is not None)
        for entity in self.columns.values():
            for rows in entity.values():
                rows.sort(key=lambda row: -1 if row[0] is None else row[0])

    def values(self, entity: str, component: str) -> tuple[list[int | None], np.ndarray]:
        """Steps and values of a component."""
        steps, values = zip(*self.columns[entity][component], strict=True)
        return list(steps), np.array(values)


@pytest.fixture(scope="module")
def log(panda: mujoco.MjModel, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A session in which the cube rises by a millimetre a step."""
    pytest.importorskip("rerun")
    path = tmp_path_factory.mktemp("rerun") / "out.rrd"
    sink = RerunSink(panda, path=path)
    address = int(panda.jnt_qposadr[panda.joint("cube_joint").id])
    for step in range(STEPS):
        qpos = panda.key_qpos[0].copy()
        qpos[address : address + 7] = (0.5, 0.1, 0.02 + step / 1000, 0.0, 1.0, 0.0, 0.0)
        message = "half of it" if step >= STEPS // 2 else ""
        sink.show(frame(step=step, model=panda, qpos=qpos, message=message, lane=step % 2))
    sink.close()
    sink.close()
    assert sink.dropped == 0
    return Log(path)


def test_every_step_is_there(log: Log) -> None:
    for entity in ("cameras/front", "cameras/wrist", "observation", "action", "reward"):
        component = "EncodedImage:blob" if entity.startswith("cameras") else "Scalars:scalars"
        steps, _ = log.values(f"/{entity}", component)
        assert steps == list(range(STEPS)), entity


def test_numbers_are_what_was_shown(log: Log) -> None:
    steps = np.arange(STEPS)
    np.testing.assert_array_equal(log.values("/reward", "Scalars:scalars")[1][:, 0], 0.5 * steps)
    observed = log.values("/observation", "Scalars:scalars")[1]
    np.testing.assert_array_equal(observed, np.stack([0.5 + 0 * steps, steps, -1 + 0 * steps], 1))
    assert log.values("/action", "Scalars:scalars")[1].shape == (STEPS, 4)
    assert log.values("/observation", "SeriesLines:names")[1].tolist() == [
        ["tcp_0", "tcp_1", "grasped"]
    ]
    np.testing.assert_array_equal(log.values("/status/lane", "Scalars:scalars")[1][:, 0], steps % 2)
    assert log.values("/instruction", "TextDocument:text")[1].tolist() == [["pick up the red cube"]]
    assert log.values("/messages", "TextLog:text")[0] == [STEPS // 2], "each message once"


def test_poses_of_what_moves(log: Log) -> None:
    steps, places = log.values("/world/cube", "Transform3D:translation")
    assert steps == list(range(STEPS))
    expected = [[0.5, 0.1, 0.02 + step / 1000] for step in range(STEPS)]
    np.testing.assert_allclose(places[:, 0], expected, atol=1e-6)
    _, turns = log.values("/world/cube", "Transform3D:quaternion")
    np.testing.assert_allclose(turns[:, 0], [[1.0, 0.0, 0.0, 0.0]] * STEPS)  # xyzw
    assert log.values("/world/hand", "Transform3D:translation")[0] == [0], "it stood still"


def test_every_geom_is_there_once(log: Log, panda: mujoco.MjModel) -> None:
    meshes = {
        entity: columns["Mesh3D:vertex_positions"]
        for entity, columns in log.columns.items()
        if "Mesh3D:vertex_positions" in columns
    }
    assert len(meshes) == len(triangles.shown(panda))
    assert all(len(rows) == 1 and rows[0][0] is None for rows in meshes.values())
    (box,) = log.values("/world/cube/cube", "Mesh3D:vertex_positions")[1]
    half = panda.geom("cube").size
    np.testing.assert_allclose(np.abs(box).max(axis=0), half, rtol=1e-6)


def test_too_fast_is_counted_and_said(
    panda: mujoco.MjModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A queue is bounded: a writer that stands still costs steps, not memory or time."""
    pytest.importorskip("rerun")
    sink = RerunSink(panda, path=tmp_path / "out.rrd")
    shown = frame(model=panda)
    for _ in range(3000):
        sink.show(shown)
    assert sink.dropped > 0
    sink.close()
    assert capsys.readouterr().out == (
        f"Rerun: {sink.dropped} steps came too fast and are not logged\n"
    )


def test_mistakes_in_one_line(
    panda: mujoco.MjModel, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rerun")
    with pytest.raises(OSError, match=r"out\.rrd"):
        RerunSink(panda, path=tmp_path / "missing" / "out.rrd")
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match=r"^no display: .* --rerun-file out\.rrd instead$"):
        RerunSink(panda)
    import rerun

    with monkeypatch.context() as older:
        older.setattr(rerun, "__version__", "0.26.2")
        with pytest.raises(
            RuntimeError, match=r"^Rerun 0\.26\.2 is too old: python -m pip install"
        ):
            RerunSink(panda, path=tmp_path / "out.rrd")
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(RuntimeError, match=r'python -m pip install "mjxsim\[rerun\]"$'):
        RerunSink(panda, path=tmp_path / "out.rrd")
