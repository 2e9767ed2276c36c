"""Worlds on several devices and in several processes; each needs a process of its own to start.

On a CPU a device is a share of XLA's threads, and a host another process on the loopback: what is
tested is that the numbers are those of one device, and that nothing hangs; not speed.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import pytest

from mjxsim import train
from mjxsim.learning import checkpoint
from mjxsim.learning.hosts import ScaleConfig
from mjxsim.learning.mesh import Shards
from mjxsim.runs.run_dir import RunDir

ROOT = pathlib.Path(__file__).parent.parent
PATIENCE = 300  # [s] before something counts as hung, on a machine however busy
NUM_ENVS, STEPS_PER_UPDATE = 8, 32
FLAGS = [
    *("--config", str(ROOT / "configs" / "reach.py"), "--engine", "c", "--seed", "5"),
    *("--num-envs", str(NUM_ENVS), "--total-steps", "1_000_000_000", "--ppo.no-anneal"),
    *("--ppo.unroll-length", str(STEPS_PER_UPDATE // NUM_ENVS), "--ppo.minibatches", "2"),
    *("--ppo.epochs", "1", "--ppo.hidden", "16", "--evaluation.episodes", "4"),
    *("--evaluation.no-video", "--checkpoint.every-updates", "100"),
]

# Everything that needs eight devices, in one process; prints what it measured as JSON.
EIGHT = """
import dataclasses, json, pathlib, sys
import jax, jax.numpy as jnp, numpy as np
import mjxsim
from mjxsim import train
from mjxsim.learning import checkpoint
from mjxsim.learning.mesh import BY_WORLD, ON_ALL, Shards
from mjxsim.learning.ppo import PPO, PPOConfig, _Sample

folder, flags = pathlib.Path(sys.argv[1]), sys.argv[2:]
out = {"devices": jax.device_count()}
one, two, eight = (Shards.over(jax.devices()[:n]) for n in (1, 2, 8))


def leaves(tree):
    tree = jax.tree.map(
        lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x,
        tree,
    )
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def apart(a, b):
    # Floats by value. The C engine's own state is float64 in pairs of uint32: see the poses.
    return max(
        float(np.abs(x - y).max(initial=0.0))
        for x, y in zip(leaves(a), leaves(b), strict=True)
        if x.dtype == np.float32
    )


def same(a, b):
    pairs = zip(leaves(a), leaves(b), strict=True)
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


# The whole batch in one minibatch, so that how it is shuffled does not matter.
env = mjxsim.make("reach", engine="c", announce=False)
config = PPOConfig(unroll_length=4, minibatches=1, epochs=1, hidden=(16,))
on1, on2, on8 = (PPO(env, config, 16, 10_000, shards) for shards in (one, two, eight))
key = jax.random.key(0)
start1, start8 = mjxsim.jit(on1.init)(key), mjxsim.jit(on8.init)(key)
out["same_start"] = same(start1, start8)
out["divided"] = start8.env_state.obs.sharding.spec == BY_WORLD

# Gradients of the loss over samples that the devices share.
rng = np.random.default_rng(0)
draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
samples = _Sample(
    obs=draw(64, env.observation_size),
    images={},
    action=draw(64, env.action_size),
    log_prob=draw(64) - 4.0,
    advantage=draw(64),
    target=draw(64),
    value=draw(64),
)
params = start1.policy.params
grad1 = jax.jit(on1._gradient)(params, samples)[0]
divided = eight.map(on8._gradient, (ON_ALL, BY_WORLD), (ON_ALL, ON_ALL))
grad8 = jax.jit(divided)(params, samples)[0]
grad_of_part = jax.jit(on1._gradient)(params, jax.tree.map(lambda x: x[:8], samples))[0]
out["gradient"] = max(float(np.abs(x).max()) for x in leaves(grad1))
out["gradient_apart"] = apart(grad1, grad8)
out["gradient_of_part_apart"] = apart(grad1, grad_of_part)

# A whole update: rollout, statistics, and the optimizer's moments, which are of the gradient.
update1, update2, update8 = (mjxsim.jit(ppo.update) for ppo in (on1, on2, on8))
(after1, metrics1), (after8, metrics8) = update1(start1), update8(start8)
out["update_apart"] = {
    "worlds": apart(after1.env_state.physics.qpos, after8.env_state.physics.qpos),
    "moments": apart(after1.opt_state, after8.opt_state),
    "statistics": apart(after1.policy.normalizer.mean, after8.policy.normalizer.mean),
    "weights": apart(after1.policy.params, after8.policy.params),
    "metrics": apart(metrics1, metrics8),
}
out["seen"] = [float(after1.policy.normalizer.count), float(after8.policy.normalizer.count)]
out["faults"] = float(metrics8["diverged"])

# Saved on 8, resumed on 2.
checkpoint.save(folder / "checkpoints", 64, after8, {})
read = checkpoint.latest(folder / "checkpoints").fill(jax.eval_shape(on2.init, key))
resumed = on2.place(read)
out["resumed_on"] = len(resumed.env_state.obs.sharding.device_set)
out["same_resumed"] = same(resumed, after8)
(next2, _), (next8, _) = update2(resumed), update8(after8)
out["next_apart"] = apart(next2.env_state.physics.qpos, next8.env_state.physics.qpos)
out["next_weights_apart"] = apart(next2.policy.params, next8.policy.params)

# MJX-JAX on two devices against C on one, for a step without contact.
mjx = mjxsim.make("reach", engine="mjx", announce=False)
action = jnp.full((4, env.action_size), 0.5)


def moved(env):
    def step(keys, action):
        return jax.vmap(lambda k, a: env.step(env.reset(k), a)[0].physics.qpos)(keys, action)
    return step


keys = jax.random.split(key, 4)
by_c = mjxsim.jit(moved(env))(keys, action)
by_mjx = mjxsim.jit(two.map(moved(mjx), (BY_WORLD, BY_WORLD), BY_WORLD))(keys, action)
out["mjx_apart"] = apart(by_c, by_mjx)

# What a user may ask wrongly for.
out["codes"] = [
    train.main([*flags, "--output-dir", str(folder / "run"), *wrong])
    for wrong in (["--num-envs", "12"], ["--num-envs", "4"], ["--scale.devices", "9"])
]
print(json.dumps(out))
"""


def environment(devices: int) -> dict[str, str]:
    """Of a process with so many devices, whose programs are compiled fast and run slowly."""
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    return {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What `EIGHT` printed; its lines on stderr as "errors"."""
    command = [sys.executable, "-c", EIGHT, str(tmp_path_factory.mktemp("eight")), *FLAGS]
    done = subprocess.run(
        command,
        env=environment(8),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "errors": done.stderr.splitlines()}


def test_worlds_start_the_same_on_any_number_of_devices(measured: dict[str, object]) -> None:
    assert measured["devices"] == 8
    assert measured["divided"]
    assert measured["same_start"]


def test_gradient_is_that_of_one_device(measured: dict[str, object]) -> None:
    assert measured["gradient"] > 0.1, "else the next line says nothing"
    assert measured["gradient_apart"] < 1e-5
    assert measured["gradient_of_part_apart"] > 0.01, "a device's own samples say something else"


def test_update_is_that_of_one_device(measured: dict[str, object]) -> None:
    """Apart by the order of float32 sums alone, which four steps of contact-free motion keep."""
    apart = measured["update_apart"]
    for name in ("worlds", "moments", "statistics", "metrics"):
        assert apart[name] < 1e-5, name
    # Adam divides by the gradient's size, and so magnifies what is in its smallest entries.
    assert apart["weights"] < 1e-4
    assert measured["seen"] == [64.0, 64.0]
    assert measured["faults"] == 0.0


def test_saved_on_eight_and_resumed_on_two(measured: dict[str, object]) -> None:
    assert measured["resumed_on"] == 2
    assert measured["same_resumed"]
    assert measured["next_apart"] < 1e-4
    assert measured["next_weights_apart"] < 1e-4


def test_mjx_on_two_devices(measured: dict[str, object]) -> None:
    assert measured["mjx_apart"] < 1e-5  # float32 against float64 over one control step


def test_devices_that_do_not_fit_are_one_line(measured: dict[str, object]) -> None:
    assert measured["codes"] == [2, 2, 2]
    indivisible, fewer, absent = (x for x in measured["errors"] if x.startswith("error: "))
    assert "num_envs 12 must be a multiple of the 8 devices: use 8 or 16, or" in indivisible
    assert "num_envs 4 must be a multiple of the 8 devices: use 8, or" in fewer
    assert "scale.devices is 9, but JAX sees only 8 of kind cpu" in absent


def test_one_device_is_not_divided() -> None:
    shards = Shards.over(jax.devices()[:1])
    assert (shards.count, shards.local(7)) == (1, 7)
    assert shards.map(len, (), ()) is len


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--scale.devices", "0"], "scale.devices must be at least 1, got 0"),
        (["--scale.process-id", "0"], "scale.process_id go together: give all three"),
        (
            ["--scale.coordinator", "node0", "--scale.processes", "2", "--scale.process-id", "0"],
            "scale.coordinator must be HOST:PORT, got node0",
        ),
        (
            ["--scale.coordinator", "a:1", "--scale.processes", "2", "--scale.process-id", "2"],
            "scale.process_id must be from 0 to 1, got 2",
        ),
        (["--scale.distributed"], "several processes need one run directory"),
        (["--scale.heartbeat-seconds", "1"], "scale.heartbeat_seconds must be at least 5, got 1"),
        (["--scale.devices", "99"], "scale.devices is 99, but JAX sees only"),
    ],
)
def test_mistakes_are_one_line(
    flags: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*FLAGS, *flags]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


# Several processes.

# A run without its environment: two processes that compute a mean together for ever.
MEAN = """
import sys
import jax, jax.numpy as jnp
from mjxsim.learning import hosts
from mjxsim.learning.mesh import ON_ALL, Shards

address, number = sys.argv[1:]
hosts.join(hosts.ScaleConfig(coordinator=address, processes=2, process_id=int(number)))
try:
    with hosts.together("do this"):
        shards = Shards.over(hosts.devices(hosts.ScaleConfig()))
        step = jax.jit(shards.map(lambda x: shards.mean(x) + 1.0, (ON_ALL,), ON_ALL))
        x = jnp.zeros(3)
        while True:
            x = step(x)
            hosts.any_of(False)
            print(float(x[0]), flush=True)
except hosts.LostProcessError as error:
    print(f"error: {error}", file=sys.stderr)
    hosts.leave(3)
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Two:
    """Two processes of one run on the loopback, with one device each."""

    def __init__(self, folder: pathlib.Path, commands: list[list[str]]) -> None:
        self.logs = [(folder / f"{i}.out", folder / f"{i}.err") for i in range(2)]
        self.running = []
        for command, (out, err) in zip(commands, self.logs, strict=True):
            with out.open("w") as o, err.open("w") as e:
                process = subprocess.Popen(
                    [sys.executable, *command], env=environment(1), cwd=ROOT, stdout=o, stderr=e
                )
                self.running.append(process)

    def __enter__(self) -> "Two":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            process.kill()
            process.wait()

    def wait_until(self, reached: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not reached():
            assert all(p.poll() is None for p in self.running), self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def said(self) -> list[str]:
        """Both streams of the first, then of the second."""
        return [path.read_text() for pair in self.logs for path in pair]

    def kill(self, victim: int) -> str:
        """The last line on stderr of the other, which must end soon."""
        killed = time.monotonic()
        self.running[victim].kill()
        code = self.running[1 - victim].wait(PATIENCE)
        # The others wait for the victim in a mean, or have lost the coordinator: either is seen at
        # once. 30 s is what a process without heartbeats is given.
        assert time.monotonic() - killed < 20.0
        # 3 where the mean failed, SIGABRT where JAX itself noticed first.
        assert code in (3, -signal.SIGABRT), self.said()
        line = self.said()[2 * (1 - victim) + 1].splitlines()[-1]
        assert line.startswith(f"error: process {1 - victim} of 2 ha"), self.said()
        return line


@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_process_is_one_line(victim: int, tmp_path: pathlib.Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with Two(tmp_path, [["-c", MEAN, address, str(i)] for i in range(2)]) as run:
        run.wait_until(lambda: run.said()[0].count(".0\n") > 3)
        assert run.kill(victim).endswith("without which none can go on; do this")


def test_a_run_of_two_processes_survives_one(tmp_path: pathlib.Path) -> None:
    path, port = tmp_path / "run", free_port()

    def commands(*flags: str) -> list[list[str]]:
        joined = ["--scale.coordinator", f"127.0.0.1:{port}", "--scale.processes", "2"]
        train = ["-m", "mjxsim.train", "--output-dir", str(path), *flags, *joined]
        return [[*train, "--scale.process-id", str(i)] for i in range(2)]

    def saved() -> list[int]:
        return [int(p.name[5:]) for p in checkpoint.steps(RunDir(path).checkpoints)]

    with Two(tmp_path, commands(*FLAGS)) as run:
        run.wait_until(lambda: bool(saved()))
        assert f"--resume --output-dir {path}" in run.kill(1)
    last = saved()[0]
    assert last % (100 * STEPS_PER_UPDATE) == 0

    total = last + 2 * STEPS_PER_UPDATE
    with Two(tmp_path, commands("--resume", "--total-steps", str(total))) as run:
        assert [p.wait(PATIENCE) for p in run.running] == [0, 0], run.said()
        out, _, other, _ = run.said()
    assert f"at {last} of {total} steps" in out
    assert out.splitlines()[-1].startswith("success ")
    assert "run directory" not in other, "only the first shows progress"
    result = json.loads(RunDir(path).result.read_text())
    assert (result["env_steps"], result["device"]) == (total, "2 x cpu")
    assert saved()[0] == total
    # The launch is not part of the run: it could go on in one process too.
    assert train.parse(["--resume", "--output-dir", str(path)]).scale == ScaleConfig()
