"""A report as one HTML file that needs no network, and as what notebooks show."""

from medzoo.evaluation.html_report.errors import Explainer
from medzoo.evaluation.html_report.write import report_card, report_page

__all__ = ["Explainer", "report_card", "report_page"]
