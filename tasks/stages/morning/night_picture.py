"""The picture of one night: which stage was at work when; pure.

Invariant: one self-contained SVG without scripts, styles, fonts or addresses, so that it shows
wherever an image does, on light and on dark.
"""

from collections.abc import Sequence
from html import escape

from tasks.stages.morning.words import clock
from tasks.stages.stretches import Stretch

WIDTH = 760  # in the picture's own units
LEFT, RIGHT, TOP, BOTTOM = 110, 70, 30, 24
ROW = 24
BAR = 14
LEAST_BAR = 1.5  # what was short is seen all the same
TICKS = 4
GREY = "#808080"  # is read on white and on black
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2")


def night_svg(stretches: Sequence[Stretch], *, ink: str = GREY) -> str:
    """Draw a row per stage and a bar for each time in which it was at work.

    Args:
        stretches: In seconds from the beginning of the run, the stages in their order.
        ink: Colour of words and lines; `currentColor` where the picture stands in a page.

    Returns:
        An SVG element.
    """
    stages = list(dict.fromkeys(stretch.stage for stretch in stretches))
    end_s = max((stretch.end_s for stretch in stretches), default=0.0) or 1.0
    height = TOP + ROW * max(1, len(stages)) + BOTTOM
    wide = WIDTH - LEFT - RIGHT
    parts = [_ticks(end_s, height, wide, ink)]
    for row, stage in enumerate(stages):
        own = [stretch for stretch in stretches if stretch.stage == stage]
        top = TOP + row * ROW
        parts.append(
            f'<text x="{LEFT - 8}" y="{top + BAR}" text-anchor="end">{escape(stage)}</text>'
        )
        colour = COLOURS[row % len(COLOURS)]
        for stretch in own:
            left = LEFT + wide * max(0.0, stretch.start_s) / end_s
            width = max(LEAST_BAR, wide * (stretch.end_s - stretch.start_s) / end_s)
            told = f"{stage}: from {clock(stretch.start_s)} to {clock(stretch.end_s)}"
            parts.append(
                f'<rect x="{left:.1f}" y="{top + 3}" width="{width:.1f}" height="{BAR}" '
                f'rx="2" fill="{colour}"><title>{escape(told)}</title></rect>'
            )
        spent = max(each.end_s for each in own) - min(each.start_s for each in own)
        after = LEFT + wide * max(each.end_s for each in own) / end_s + 6
        parts.append(f'<text x="{after:.1f}" y="{top + BAR}">{clock(spent)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{ink}">'
        f"<title>Stages of the night over {clock(end_s)}</title>{''.join(parts)}</svg>"
    )


def _ticks(end_s: float, height: int, wide: int, ink: str) -> str:
    drawn = []
    for tick in range(TICKS + 1):
        x = LEFT + wide * tick / TICKS
        drawn.append(
            f'<path d="M{x:.1f} {TOP - 8}V{height - BOTTOM}" stroke="{ink}" stroke-opacity=".25"/>'
            f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">'
            f"{clock(end_s * tick / TICKS)}</text>"
        )
    return "".join(drawn)
