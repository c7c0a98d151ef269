"""Search: better recipes and architectures for a data set, found by trial and validation."""

from medzoo.search.goals import Goal
from medzoo.search.plots import (
    plot_pareto_front,
    plot_search_history,
    plot_search_importance,
    plot_search_slices,
)
from medzoo.search.result import SearchResult, TrialRecord
from medzoo.search.run import search
from medzoo.search.space import Space, default_space

__all__ = [
    "Goal",
    "SearchResult",
    "Space",
    "TrialRecord",
    "default_space",
    "plot_pareto_front",
    "plot_search_history",
    "plot_search_importance",
    "plot_search_slices",
    "search",
]

# As an attribute of medzoo, `search` is the function. What belongs to the package is found there,
# too, modules that are imported later included: `import medzoo.search.space as space`.
search.__dict__ = globals()
