r"""What a claim does that says nothing else: its means are the predicted values.

Every predicted quantity that is measured is compared under every condition. With Q comparisons each
has Student's interval at level :math:`1 - (1 - 0.99) / Q` (Bonferroni), so that if all predictions
are right, one of them is refused with a probability of at most 1%.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import statistics
from .claim import Check, Claim, Condition, Result, Verdict, select, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.99
# The ratio of the largest to the smallest value from which an axis is logarithmic.
WIDE = 8.0


def verdict(claim: Claim, results: Sequence[Result]) -> Verdict:
    """One check for every quantity, decided by its worst condition.

    It fails if one interval misses its prediction; it is undecided if one is wider than the claim's
    `precision`, relative to the prediction, or if nothing can be compared.
    """
    from .claims._enclosures import Case, equality

    compared = [
        (condition, quantity, predicted)
        for condition in _conditions(results)
        for quantity, predicted in claim.predict(condition).items()
        if all(quantity in result.values for result in select(results, **condition))
    ]
    if not compared:
        nothing = Check(
            "compared", "some quantity is both predicted and measured", 0, None, 1, "undecided"
        )
        return Verdict((nothing,))
    precision, level = claim.precision or 0.0, 1 - (1 - LEVEL) / len(compared)
    cases: dict[str, dict[str, Case]] = {}
    for condition, quantity, predicted in compared:
        interval = statistics.mean(values(select(results, **condition), quantity), level)
        label = _label(condition, list(condition))
        cases.setdefault(quantity, {})[label] = interval, predicted, precision * abs(predicted)
    statement = (
        f"the mean over repetitions is the predicted value within its interval ({LEVEL:.0%} for "
        f"all {len(compared)} together)"
    )
    return Verdict(tuple(equality(name, statement, own) for name, own in cases.items()))


def draw(claim: Claim, results: Sequence[Result], figure: "Figure") -> None:
    """A panel for each reported quantity: means with 95% intervals, and lines of predictions.

    The horizontal axis is the first key of the conditions that is a number and varies; the others
    that vary tell the curves apart. Where no number varies, conditions stand side by side.
    """
    from . import figures

    conditions = _conditions(results)
    varying = [key for key in conditions[0] if len({c[key] for c in conditions}) > 1]
    numbers = [key for key in varying if not any(isinstance(c[key], str) for c in conditions)]
    abscissa = numbers[0] if numbers else None
    curves: dict[str, list[Condition]] = {}
    for condition in conditions:
        others = [key for key in varying if abscissa and key != abscissa]
        curves.setdefault(_label(condition, others) or "measured", []).append(condition)
    quantities = [name for name in claim.reported if any(name in r.values for r in results)]
    figure.set_size_inches(max(4.0, 3.6 * len(quantities)), 3.7)
    panels = figure.subplots(1, max(1, len(quantities)), squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=False):
        for i, (label, own) in enumerate(curves.items()):
            _draw_curve(axes, claim, results, quantity, abscissa, label, own, i)
        _scale(axes, conditions, varying, abscissa)
        axes.set_ylabel(quantity)
    panels[0].plot([], [], color=figures.GREY, label="predicted")
    figures.legend_below(figure)


def _draw_curve(
    axes: "Axes",
    claim: Claim,
    results: Sequence[Result],
    quantity: str,
    abscissa: str | None,
    label: str,
    conditions: Sequence[Condition],
    index: int,
) -> None:
    """Means of one quantity over its predictions, under the conditions of one curve."""
    from . import figures

    color = (figures.BLUE, figures.VERMILION, figures.GREEN, figures.ORANGE)[index % 4]
    measured, predicted = [], []
    for place, condition in enumerate(conditions):
        x = float(condition[abscissa]) if abscissa else float(place)
        cells = [r for r in select(results, **condition) if quantity in r.values]
        if cells:
            measured.append((x, statistics.mean(values(cells, quantity))))
        prediction = claim.predict(condition)
        if quantity in prediction:
            predicted.append((x, float(prediction[quantity])))
    measured.sort()
    predicted.sort()
    figures.points(
        axes,
        [x for x, _ in measured],
        [interval for _, interval in measured],
        label=label,
        color=color,
        marker="osD^v"[index % 5],
    )
    line = {"linewidth": 1.0} if abscissa else {"linestyle": "", "marker": "_", "markersize": 14}
    axes.plot([x for x, _ in predicted], [y for _, y in predicted], color=color, **line)


def _scale(
    axes: "Axes", conditions: Sequence[Condition], varying: Sequence[str], abscissa: str | None
) -> None:
    """Logarithmic axes where values are positive and wide apart; labels on the conditions."""
    import numpy as np

    from . import figures

    heights = [y for line in axes.lines for y in np.asarray(line.get_ydata(), float).tolist()]
    logarithmic = _wide(heights)
    if abscissa is None:
        labels = [_label(condition, varying) for condition in conditions]
        axes.set_xticks(range(len(labels)), labels)
        axes.margins(x=0.2)
    else:
        ticks = sorted({float(condition[abscissa]) for condition in conditions})
        if _wide(ticks):
            figures.log_axes(axes, ticks, abscissa)
        axes.set_xlabel(abscissa)
    axes.set_yscale("log" if logarithmic else "linear")


def _wide(numbers: Sequence[float]) -> bool:
    return bool(numbers) and min(numbers) > 0 and max(numbers) >= WIDE * min(numbers)


def _conditions(results: Sequence[Result]) -> list[Condition]:
    """The different conditions, in their order."""
    return list({tuple(r.condition.items()): r.condition for r in results}.values())


def _label(condition: Condition, keys: Sequence[str]) -> str:
    return ", ".join(f"{key} = {condition[key]}" for key in keys)
