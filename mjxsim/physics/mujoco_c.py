"""C MuJoCo as an engine: `mujoco.batch.Batch` under `jax.pure_callback`.

The complete integration state of a world (mjSTATE_INTEGRATION, float64) travels through JAX as
pairs of uint32, so nothing is rounded and a step inside jit, vmap and scan is the very step that
a plain `mj_step` loop takes. Inside the callbacks there is only NumPy: calling JAX there can
deadlock.
"""

import contextlib
import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from mjxsim.physics.base import MAX_SPEED, Faults, Overrides, PhysicsState, stale_sensors
from mjxsim.physics.overrides import check_fields

_BAD_STATE = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
    int(mujoco.mjtWarning.mjWARN_BADCTRL),
]
_CONTACT_FULL = int(mujoco.mjtWarning.mjWARN_CONTACTFULL)
_CONSTRAINT_FULL = int(mujoco.mjtWarning.mjWARN_CNSTRFULL)
# What drives a step from outside, and with it what an episode starts from.
_DRIVE = (
    mujoco.mjtState.mjSTATE_CTRL,
    mujoco.mjtState.mjSTATE_MOCAP_POS,
    mujoco.mjtState.mjSTATE_MOCAP_QUAT,
)
_START = (mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL, *_DRIVE)
_STATE = ("time", "qpos", "qvel")
_POSES = ("xpos", "xquat", "site_xpos", "site_xmat")
_DERIVED = (*_POSES, "sensordata")
# Fields whose change ends a coincidence of frames that the compiler saw, and C takes shortcuts by.
_FRAMES = frozenset({"body_ipos", "body_iquat", "geom_pos", "geom_quat", "site_pos", "site_quat"})
_SAME_FRAMES = ("body_sameframe", "geom_sameframe", "site_sameframe")
_MAX_BATCHES = 8  # thread pools kept alive per engine, one per batch size and set of overrides


@dataclasses.dataclass(frozen=True, eq=False)
class MujocoC:
    """C MuJoCo on a thread pool; CPU only, bit for bit `mj_step`.

    `substeps` physics steps make one control step; `nthread` 0 uses every core.
    """

    model: mujoco.MjModel
    substeps: int
    nthread: int = 0
    name: str = "c"
    on_host: bool = True
    _pool: "_BatchPool" = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pool", _BatchPool(self.model, self.nthread))

    def init(
        self,
        overrides: Overrides,
        qpos: jax.Array,
        qvel: jax.Array,
        ctrl: jax.Array,
        mocap_pos: jax.Array,
        mocap_quat: jax.Array,
    ) -> PhysicsState:
        start = (qpos, qvel, ctrl, mocap_pos.ravel(), mocap_quat.ravel())
        out = self._call(self._host_init, overrides, {"start": jnp.concatenate(start)})
        bad, contact, constraint, _ = out["faults"]
        faults = Faults.none().add(bad, contact, constraint)
        return self._state(out, ctrl, mocap_pos, mocap_quat, faults)

    def step(
        self,
        overrides: Overrides,
        physics: PhysicsState,
        ctrl: jax.Array,
        wrench: jax.Array | None = None,
        *,
        poses: bool = True,
    ) -> PhysicsState:
        drive = (ctrl, physics.mocap_pos.ravel(), physics.mocap_quat.ravel())
        inputs = {"row": physics.raw["row"], "drive": jnp.concatenate(drive)}
        if wrench is not None:
            inputs["wrench"] = wrench.ravel()
        host = self._host_step if poses else self._host_hurry
        out = self._call(host, overrides, inputs, poses=poses)
        bad, contact, constraint, lost = out["faults"]
        faults = physics.faults.add(bad, contact, constraint)
        # A discarded step leaves the world as it was, unless that was not finite either. The host
        # has put back all but the forces, which are no function of the state.
        keep = (bad > 0) & ~(lost > 0)
        out["sensordata"] = jnp.where(keep, physics.sensordata, out["sensordata"])
        ctrl = jnp.where(bad > 0, physics.ctrl, ctrl)
        if not poses:
            out |= {field: getattr(physics, field) for field in _POSES}
        return self._state(out, ctrl, physics.mocap_pos, physics.mocap_quat, faults)

    def look(self, overrides: Overrides, physics: PhysicsState) -> PhysicsState:
        out = self._call(self._host_look, overrides, {"row": physics.raw["row"]})
        sensors = jnp.where(self._pool.stale, physics.sensordata, out["sensordata"])
        return physics.replace(**{f: out[f] for f in _POSES}, sensordata=sensors)

    def _state(
        self,
        out: dict[str, jax.Array],
        ctrl: jax.Array,
        mocap_pos: jax.Array,
        mocap_quat: jax.Array,
        faults: Faults,
    ) -> PhysicsState:
        return PhysicsState(
            time=out["time"],
            qpos=out["qpos"],
            qvel=out["qvel"],
            ctrl=ctrl,
            mocap_pos=mocap_pos,
            mocap_quat=mocap_quat,
            xpos=out["xpos"],
            xquat=out["xquat"],
            site_xpos=out["site_xpos"],
            site_xmat=out["site_xmat"],
            sensordata=out["sensordata"],
            faults=faults,
            raw={"row": out["row"]},
        )

    def _call(
        self,
        host: Callable[[dict[str, np.ndarray], dict[str, np.ndarray]], dict[str, np.ndarray]],
        overrides: Overrides,
        inputs: dict[str, jax.Array],
        *,
        poses: bool = True,
    ) -> dict[str, jax.Array]:
        """Runs `host` on the whole batch; unbatched from the caller's side."""
        check_fields(self.model, overrides)

        def callback(
            overrides: dict[str, np.ndarray], inputs: dict[str, np.ndarray]
        ) -> dict[str, np.ndarray]:
            inputs = {k: np.asarray(v) for k, v in inputs.items()}
            overrides = {k: np.asarray(v) for k, v in overrides.items()}
            lead = next(iter(inputs.values())).shape[:-1]  # every input is a vector per world
            n = int(np.prod(lead))

            def flat(x: np.ndarray) -> np.ndarray:
                return np.ascontiguousarray(x.reshape((n, *x.shape[len(lead) :])))

            out = host(
                {k: flat(v) for k, v in overrides.items()}, {k: flat(v) for k, v in inputs.items()}
            )
            return {k: v.reshape((*lead, *v.shape[1:])) for k, v in out.items()}

        shapes = self._out_shapes()
        if not poses:
            shapes = {k: v for k, v in shapes.items() if k not in _POSES}
        return jax.pure_callback(
            callback, shapes, dict(overrides), inputs, vmap_method="broadcast_all"
        )

    def _out_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        m = self.model
        f32 = jnp.float32
        return {
            "row": jax.ShapeDtypeStruct((2 * self._pool.nstate,), jnp.uint32),
            "faults": jax.ShapeDtypeStruct((4,), jnp.int32),
            "time": jax.ShapeDtypeStruct((), f32),
            "qpos": jax.ShapeDtypeStruct((m.nq,), f32),
            "qvel": jax.ShapeDtypeStruct((m.nv,), f32),
            "xpos": jax.ShapeDtypeStruct((m.nbody, 3), f32),
            "xquat": jax.ShapeDtypeStruct((m.nbody, 4), f32),
            "site_xpos": jax.ShapeDtypeStruct((m.nsite, 3), f32),
            "site_xmat": jax.ShapeDtypeStruct((m.nsite, 3, 3), f32),
            "sensordata": jax.ShapeDtypeStruct((m.nsensordata,), f32),
        }

    def _host_init(
        self, overrides: dict[str, np.ndarray], inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        n = inputs["start"].shape[0]
        with self._pool.borrow(n, overrides) as batch:
            batch.state[:] = self._pool.rest
            batch.state[:, self._pool.start_columns] = inputs["start"]
            error = _run(batch.forward, stage=self._pool.stage)
            faults = np.zeros((n, 4), np.int32)
            faults[error] = [1, 0, 1, 1]  # no memory even to begin: diverged, for want of room
            out = self._read(batch, faults)
            out["sensordata"][:, self._pool.stale] = 0.0
            return out

    def _host_look(
        self, overrides: dict[str, np.ndarray], inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        row = inputs["row"].view(np.float64)
        n = row.shape[0]
        with self._pool.borrow(n, overrides) as batch:
            batch.state[:] = row
            _run(batch.forward, stage=self._pool.stage)
            return self._read(batch, np.zeros((n, 4), np.int32))

    def _host_hurry(
        self, overrides: dict[str, np.ndarray], inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        return self._host_step(overrides, inputs, poses=False)

    def _host_step(
        self,
        overrides: dict[str, np.ndarray],
        inputs: dict[str, np.ndarray],
        *,
        poses: bool = True,
    ) -> dict[str, np.ndarray]:
        before = inputs["row"].view(np.float64)
        n = before.shape[0]
        with self._pool.borrow(n, overrides) as batch:
            batch.state[:] = before
            batch.state[:, self._pool.drive_columns] = inputs["drive"]
            if "wrench" in inputs:
                batch.state[:, self._pool.wrench_columns] = inputs["wrench"]
            batch.warning[:] = 0
            stage = self._pool.stage if poses else mujoco.mjtStage.mjSTAGE_NONE
            error = _run(batch.step, nstep=self.substeps, stage=stage)
            warning = batch.warning[..., 1] > 0  # counts; [..., 0] is the last offender
            bad = warning[:, _BAD_STATE].any(axis=1)
            bad |= ~(np.abs(batch.bind("qvel")) < MAX_SPEED).all(axis=1)
            bad |= ~np.isfinite(batch.bind("qpos")).all(axis=1)
            full = warning[:, _CONSTRAINT_FULL]
            bad[error] = full[error] = True
            lost = bad & ~np.isfinite(before).all(axis=1)  # has no state to go back to
            if bad.any():
                batch.state[bad] = np.where(lost[bad, None], self._pool.rest, before[bad])
                if poses:
                    _run(batch.forward, ids=np.flatnonzero(bad), stage=stage)
            faults = np.stack([bad, warning[:, _CONTACT_FULL], full, lost], axis=1)
            out = self._read(batch, faults.astype(np.int32), poses=poses)
            out["sensordata"][np.ix_(bad, self._pool.stale)] = 0.0
            if "wrench" in inputs:  # a state keeps what is applied to it, and this was for once
                out["row"].view(np.float64)[:, self._pool.wrench_columns] = 0.0
            return out

    def _read(
        self, batch: Batch, faults: np.ndarray, *, poses: bool = True
    ) -> dict[str, np.ndarray]:
        n = batch.nsim
        out = {"row": batch.state.copy().view(np.uint32), "faults": faults}
        for field in (*_STATE, *(_DERIVED if poses else ("sensordata",))):
            out[field] = batch.bind(field).astype(np.float32)
        if not poses:
            return out
        out["site_xmat"] = out["site_xmat"].reshape(n, -1, 3, 3)
        return out


def _run(advance: Callable[..., None], **options: object) -> np.ndarray:
    """Runs a call of a batch; the worlds (k,) in which MuJoCo gave up.

    It raises an error where it has no memory left even to compute (a `<size memory>` too small);
    those worlds keep their state and the others run on.
    """
    try:
        advance(**options)
    except SimulationError as error:
        return np.asarray(error.ids, np.int64)
    return np.zeros(0, np.int64)


class _BatchPool:
    """Thread pools by batch size and overridden fields; a cache, never simulation state.

    Every call writes the whole state and every overridden field before it reads anything.
    """

    def __init__(self, model: mujoco.MjModel, nthread: int):
        self.nstate = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION)
        self.rest = _rest(model)
        self.start_columns = _columns(model, *_START)
        self.drive_columns = _columns(model, *_DRIVE)
        self.wrench_columns = _columns(model, mujoco.mjtState.mjSTATE_XFRC_APPLIED)
        self.stale = stale_sensors(model)
        # The stage up to which a step's results are brought to its end: positions, and velocities
        # where a sensor looks at them.
        velocity = mujoco.mjtStage.mjSTAGE_VEL
        sees_velocity = bool((model.sensor_needstage == velocity).any())
        self.stage = velocity if sees_velocity else mujoco.mjtStage.mjSTAGE_POS
        self._model = model
        self._nthread = nthread
        self._batches: OrderedDict[tuple[int, frozenset[str]], Batch] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def borrow(self, n: int, overrides: dict[str, np.ndarray]) -> Iterator[Batch]:
        """A batch of `n` worlds with these overrides; locked: it serves one thread at a time."""
        with self._lock:
            yield self._batch(n, overrides)

    def _batch(self, n: int, overrides: dict[str, np.ndarray]) -> Batch:
        key = (n, frozenset(overrides))
        batch = self._batches.pop(key, None)
        if batch is None:
            batch = Batch(self._model, n, self._nthread)
            for field in _DERIVED:
                batch.bind(field)
            if _FRAMES & set(overrides):
                for field in _SAME_FRAMES:
                    batch.expand(field)[:] = int(mujoco.mjtSameFrame.mjSAMEFRAME_NONE)
        self._batches[key] = batch
        while len(self._batches) > _MAX_BATCHES:
            self._batches.popitem(last=False)
        for field, value in overrides.items():
            target = batch.expand(field)
            target[:] = value.reshape(target.shape)
        return batch


def _rest(model: mujoco.MjModel) -> np.ndarray:
    """The integration state (nstate,) of freshly reset data."""
    state = mujoco.mjtState.mjSTATE_INTEGRATION
    row = np.zeros(mujoco.mj_stateSize(model, state))
    mujoco.mj_getState(model, mujoco.MjData(model), row, state)
    return row


def _columns(model: mujoco.MjModel, *parts: mujoco.mjtState) -> np.ndarray:
    """Where these parts are in an integration state, one after the other."""
    columns: list[np.ndarray] = []
    for part in parts:
        # The parts of a state are in the order of their bits.
        before = int(mujoco.mjtState.mjSTATE_INTEGRATION) & (int(part) - 1)
        offset = mujoco.mj_stateSize(model, before)
        columns.append(offset + np.arange(mujoco.mj_stateSize(model, part)))
    return np.concatenate(columns)
