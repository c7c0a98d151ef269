"""How speed is measured: turns, contests, and the machine."""
