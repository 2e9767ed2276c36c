"""Ranges from which a simulation parameter is drawn, and how wide they are opened."""

import dataclasses
import math
from typing import Annotated, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
import tyro

__all__ = ["GivenRange", "How", "Law", "MaybeRange", "Range", "check_range"]

How = Literal["absolute", "scale", "add"]
Law = Literal["uniform", "loguniform", "gaussian"]

_HOWS: tuple[How, ...] = ("absolute", "scale", "add")
_LAWS: tuple[Law, ...] = ("uniform", "loguniform", "gaussian")
_TAIL = 0.5 * math.erfc(math.sqrt(2.0))  # of a normal distribution below two standard deviations


@dataclasses.dataclass(frozen=True)
class Range:
    """An interval of one parameter, what its numbers mean, and how values spread over it.

    Attributes:
      low: Least value [unit of the parameter; none for "scale"].
      high: Greatest value, at least `low`.
      how: "absolute": the value itself; "scale": a factor on the nominal value; "add": an amount
        added to it.
      law: "uniform"; "loguniform": uniform in the logarithm, `low` above 0; "gaussian": `low` and
        `high` are the mean ± 2 standard deviations, beyond which it is cut off (so every law
        stays within [low, high]).
    """

    low: float
    high: float
    how: How = "absolute"
    law: Law = "uniform"

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: one line naming the field at fault and its value.
        """
        for name, value in (("low", self.low), ("high", self.high)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and math.isfinite(value)):
                raise ValueError(f"a range's {name} must be a finite number, got {value!r}")
        if self.how not in _HOWS:
            raise ValueError(f"a range's how must be one of {', '.join(_HOWS)}, got {self.how!r}")
        if self.law not in _LAWS:
            raise ValueError(f"a range's law must be one of {', '.join(_LAWS)}, got {self.law!r}")
        if self.low > self.high:
            raise ValueError(f"range [{self.low}, {self.high}]: low must not exceed high")
        if self.law == "loguniform" and not self.low > 0.0:
            raise ValueError(
                f"range [{self.low}, {self.high}]: a loguniform range needs low above 0"
            )
        if self.how == "scale" and self.low < 0.0:
            raise ValueError(
                f"range [{self.low}, {self.high}]: a factor (how='scale') must not be negative"
            )

    def draw(
        self,
        key: jax.Array,
        nominal: jax.Array | np.ndarray | float,
        width: jax.Array | float = 1.0,
        shape: tuple[int, ...] | None = None,
    ) -> jax.Array:
        """Draws values; float32, of the shape of `nominal` broadcast with `shape`.

        Args:
          key: From which everything is drawn.
          nominal: The value without randomization, any shape.
          width: How far the range is opened, () in [0, 1] (clipped to it), may be traced. A draw
            from the whole range is moved towards the value that changes nothing (1 for "scale", 0
            for "add", `nominal` for "absolute"): linearly, so that an interval keeps `width` of
            its distance from it on either side; "loguniform" in the logarithm. At 0 the result
            is `nominal` bit for bit, at 1 the range is open as it was written.
          shape: Of the independent draws; None for one per entry of `nominal`, () for one that all
            entries share.
        """
        shape = jnp.shape(nominal) if shape is None else shape
        return self.place(jax.random.uniform(key, shape), nominal, width)

    def place(
        self,
        unit: jax.Array,
        nominal: jax.Array | np.ndarray | float,
        width: jax.Array | float = 1.0,
    ) -> jax.Array:
        """What `draw` gives for these uniform draws from [0, 1), of the shape of its `shape`.

        For many ranges at once: each call of the generator adds to what must be compiled.
        """
        nominal = jnp.asarray(nominal, jnp.float32)
        width = jnp.clip(jnp.asarray(width, jnp.float32), 0.0, 1.0)
        drawn = self._quantile(unit)
        neutral = {"absolute": nominal, "scale": jnp.float32(1), "add": jnp.float32(0)}[self.how]
        # A sum of products rather than neutral + width * (drawn - neutral): exact at both ends.
        moved = (1.0 - width) * neutral + width * drawn
        if self.law == "loguniform":
            safe = jnp.where(neutral > 0.0, neutral, 1.0)
            moved = jnp.where(neutral > 0.0, safe * (drawn / safe) ** width, moved)
        low, high = jnp.float32(self.low), jnp.float32(self.high)
        moved = jnp.clip(moved, jnp.minimum(low, neutral), jnp.maximum(high, neutral))
        moved = jnp.where(width >= 1.0, drawn, moved)
        return {"absolute": moved, "scale": nominal * moved, "add": nominal + moved}[self.how]

    def bounds(self, nominal: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest value that `draw` can give at width 1; `nominal`'s shape."""
        nominal = np.asarray(nominal, float)
        ends = {
            "absolute": (nominal * 0.0 + self.low, nominal * 0.0 + self.high),
            "scale": (nominal * self.low, nominal * self.high),
            "add": (nominal + self.low, nominal + self.high),
        }[self.how]
        return np.minimum(*ends), np.maximum(*ends)  # a negative nominal turns a scale round

    def _quantile(self, unit: jax.Array) -> jax.Array:
        """The value in [low, high] below which this share of the draws lies; float32."""
        low, high = jnp.float32(self.low), jnp.float32(self.high)
        if self.law == "uniform":
            value = low + unit * (high - low)
        elif self.law == "loguniform":
            value = low * jnp.exp(unit * jnp.log(high / low))
        else:
            share = _TAIL + unit * (1.0 - 2.0 * _TAIL)
            value = 0.5 * (low + high) + 0.25 * (high - low) * jax.scipy.special.ndtri(share)
        return jnp.clip(value, low, high)


def _from_flag(written: list[str]) -> Range | None:
    """What a command-line flag says: LOW,HIGH,HOW or LOW,HIGH,HOW,LAW, or none."""
    if written[0].lower() == "none":
        return None
    parts = [part.strip() for part in written[0].split(",")]
    if len(parts) not in (3, 4):
        raise ValueError(f"a range is LOW,HIGH,HOW[,LAW] or none, got {written[0]!r}")
    how, law = parts[2], parts[3] if len(parts) == 4 else "uniform"
    return Range(float(parts[0]), float(parts[1]), cast(How, how), cast(Law, law))


def _to_flag(value: Range | None) -> list[str]:
    if value is None:
        return ["none"]
    return [f"{value.low},{value.high},{value.how},{value.law}"]


def _given_from_flag(words: list[str]) -> Range:
    given = _from_flag(words)
    if given is None:
        raise ValueError("a range is needed here, such as 0.1,0.4,absolute; it cannot be none")
    return given


# A range that may be off, as a field of a configuration. Its command-line flag takes one word, such
# as 0.5,2,scale or 0.3,0.9,absolute,gaussian or none; without this tyro would make a subcommand
# of every one of them.
MaybeRange = Annotated[
    Range | None,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="LOW,HIGH,HOW[,LAW]|none",
        instance_from_str=_from_flag,
        is_instance=lambda value: value is None or isinstance(value, Range),
        str_from_instance=_to_flag,
    ),
]

# The same for one that is always there.
GivenRange = Annotated[
    Range,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="LOW,HIGH,HOW[,LAW]",
        instance_from_str=_given_from_flag,
        is_instance=lambda value: isinstance(value, Range),
        str_from_instance=_to_flag,
    ),
]


def check_range(
    name: str,
    given: Range | None,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    hows: tuple[How, ...] = _HOWS,
    nominal: np.ndarray | float | None = None,
) -> None:
    """Checks that every value a range can give is one that the parameter can have.

    Args:
      name: Of the parameter, as its configuration calls it.
      given: The range; None, which is off, passes.
      least: The parameter must not be below it [its unit].
      above: The parameter must be greater than it.
      most: The parameter must not be greater than it.
      hows: What the range's numbers may mean here.
      nominal: The nominal value(s). Without it, a factor is checked only against `least` 0 and
        `above` 0, of a parameter that is not negative by nature, and an amount to add not at all.

    Raises:
      ValueError: one line with the name, the range and what is valid.
    """
    if given is None:
        return
    if not isinstance(given, Range):
        raise ValueError(f"{name} must be a Range such as Range(0.5, 2.0) or None, got {given!r}")
    said = f"{name} [{given.low}, {given.high}]"
    if given.how not in hows:
        raise ValueError(f"{said}: how must be one of {', '.join(hows)}, got {given.how!r}")
    if nominal is not None:
        bounds = given.bounds(nominal)
        low, high = float(np.min(bounds[0])), float(np.max(bounds[1]))
    elif given.how == "absolute":
        low, high = given.low, given.high
    elif given.how == "scale":
        least, above, most = (0.0 if limit == 0.0 else None for limit in (least, above, most))
        low, high = given.low, given.high
    else:
        return
    what = {"absolute": "values", "scale": "factors", "add": "added amounts"}[given.how]
    got = "" if nominal is None or given.how == "absolute" else f", which give {low:g} to {high:g}"
    if least is not None and low < least:
        raise ValueError(f"{said}: {what} must not make it less than {least:g}{got}")
    if above is not None and low <= above:
        raise ValueError(f"{said}: {what} must keep it above {above:g}{got}")
    if most is not None and high > most:
        raise ValueError(f"{said}: {what} must not make it more than {most:g}{got}")
