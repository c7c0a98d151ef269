"""Colours of the plots (Okabe and Ito), which colour-blind readers can distinguish."""

from __future__ import annotations

BLUE, ORANGE, GRAY = "#0072b2", "#d55e00", "#999999"
YELLOW, SKY, GREEN = "#e69f00", "#56b4e9", "#009e73"
