"""Learns what steps cost: seconds per step, and worker seconds per second of audio. Starts from a guess."""

from __future__ import annotations

MEMORY_STEPS = 100.0
"""A step's weight falls to 1/e after this many later ones."""

OUTLIER_FACTOR = 4.0
"""After WARM_STEPS, a step counts as at most this many times its prediction, and at least its prediction divided by
this: one page fault or one lost time slice must not move the model; a lasting change still does within a few steps."""

WARM_STEPS = 8
"""After this many steps, a fixed part is told apart from one that grows with the size."""

UNITS_MIN = 1e-9
"""Steps that are smaller than this on average count as having no size, since dividing by it would overflow."""


class StageCost:
    """Seconds of one step as `fixed + per_unit * units`, by least squares with exponential forgetting.

    `units` is the size of a step, summed over its batch: characters of text for `prepare`, from the jobs' own `cost`
    hints after it (see `StageState.units`). Both coefficients are never negative.
    """

    __slots__ = ("_n", "_sx", "_sxx", "_sxy", "_sy", "bias", "error", "fixed", "per_unit", "steps")

    def __init__(self, per_unit: float, fixed: float = 0.0) -> None:
        self.fixed = fixed
        self.per_unit = per_unit
        self.steps = 0
        self.error = 0.0
        """Running mean of |real - predicted| / real."""
        self.bias = 0.0
        """Running mean of (real - predicted) / real; above 0 when predictions are too short."""
        self._n = self._sx = self._sy = self._sxx = self._sxy = 0.0

    def predict(self, units: float) -> float:
        """Seconds that a step of size `units` will take."""
        return self.fixed + self.per_unit * units

    def learn(self, units: float, seconds: float) -> None:
        """Learn from a step of size `units` that took `seconds`."""
        predicted = self.predict(units)
        self._count_error(predicted, seconds)
        self.steps += 1
        if self.steps > WARM_STEPS:
            seconds = min(max(seconds, predicted / OUTLIER_FACTOR), predicted * OUTLIER_FACTOR)
        keep = 1.0 - 1.0 / MEMORY_STEPS
        self._n = self._n * keep + 1.0
        self._sx = self._sx * keep + units
        self._sy = self._sy * keep + seconds
        self._sxx = self._sxx * keep + units * units
        self._sxy = self._sxy * keep + units * seconds
        self._solve()

    def _count_error(self, predicted: float, seconds: float) -> None:
        deviation = (seconds - predicted) / max(seconds, 1e-6)
        weight = max(1.0 / (self.steps + 1), 1.0 / MEMORY_STEPS)
        self.error += weight * (abs(deviation) - self.error)
        self.bias += weight * (deviation - self.bias)

    def _solve(self) -> None:
        n, sx, sy, sxx, sxy = self._n, self._sx, self._sy, self._sxx, self._sxy
        spread = n * sxx - sx * sx
        if sx <= n * UNITS_MIN:
            self.fixed, self.per_unit = sy / n, 0.0
            return
        if spread <= 1e-3 * n * sxx or self.steps < WARM_STEPS:
            self.fixed, self.per_unit = 0.0, sy / sx  # too alike to tell a fixed part from one that grows
            return
        slope = (n * sxy - sx * sy) / spread
        fixed = (sy - slope * sx) / n
        if fixed < 0.0:
            fixed, slope = 0.0, sxy / sxx
        elif slope < 0.0:
            fixed, slope = sy / n, 0.0
        self.fixed, self.per_unit = fixed, slope


AUDIO_HALF_LIFE_SECONDS = 120.0
HALF_LIFE_SECONDS = 10.0
"""After this much audio, and this much time, earlier measurements count half. The slower of the two applies, so that
neither an hour without requests nor one second of a fast device replaces what was learned."""

PRIOR_AUDIO_SECONDS = 4.0
"""The first guess weighs as much as this many seconds of audio."""


class StageUse:
    """What one stage used lately: worker seconds, rows, units, steps. All decay together with the audio made."""

    __slots__ = ("rows", "seconds", "steps", "units")

    def __init__(self) -> None:
        self.seconds = self.rows = self.units = self.steps = 0.0

    def add(self, rows: int, units: float, seconds: float) -> None:
        """Count a step."""
        self.seconds += seconds
        self.rows += rows
        self.units += units
        self.steps += 1.0

    def decay(self, keep: float) -> None:
        """Multiply all by `keep`."""
        self.seconds *= keep
        self.rows *= keep
        self.units *= keep
        self.steps *= keep


class RealtimeCost:
    """Worker seconds that an engine takes per second of audio, by stage, learned; steps of cancelled requests count."""

    __slots__ = ("_audio_seconds", "_measured_at", "_prior_seconds", "stages")

    def __init__(self, realtime_factor: float, stages: dict[str, StageUse]) -> None:
        self._audio_seconds = PRIOR_AUDIO_SECONDS
        self._prior_seconds = realtime_factor * PRIOR_AUDIO_SECONDS
        self._measured_at = 0.0
        self.stages = stages

    @property
    def realtime_factor(self) -> float:
        """Worker seconds per second of audio, all stages together, as measured."""
        return (self._prior_seconds + sum(use.seconds for use in self.stages.values())) / self._audio_seconds

    @property
    def prior(self) -> float:
        """What is left of the first guess, in worker seconds per second of audio."""
        return self._prior_seconds / self._audio_seconds

    def produced(self, audio_seconds: float, now: float) -> None:
        """Count audio that was made."""
        half_lives = min(audio_seconds / AUDIO_HALF_LIFE_SECONDS, max(0.0, now - self._measured_at) / HALF_LIFE_SECONDS)
        keep = 0.5**half_lives
        self._measured_at = now
        self._prior_seconds *= keep
        for use in self.stages.values():
            use.decay(keep)
        self._audio_seconds = self._audio_seconds * keep + audio_seconds

    def stage_factor(self, stage: str, cost: StageCost, rows_per_batch: float) -> float:
        """Worker seconds that `stage` takes per second of audio when its batches have `rows_per_batch` rows.

        The rows of a batch share its fixed cost. What was measured holds for batches as large as they were; batches are
        expected to become at most twice as large.
        """
        use = self.stages[stage]
        if rows_per_batch <= 1.0 or use.steps <= 0.0 or cost.steps < WARM_STEPS:
            return use.seconds / self._audio_seconds
        rows_now = use.rows / use.steps
        rows = max(rows_now, min(rows_per_batch, 2.0 * rows_now))
        saved = cost.fixed * (use.steps - use.rows / rows)
        return max(use.seconds - saved, use.seconds * 0.02) / self._audio_seconds
