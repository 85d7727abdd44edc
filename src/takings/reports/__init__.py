"""A question and its answer: figures cut by day, week or month, compared, explained, traced to their rows, exported."""

from takings.reports.answer import Answer, Detail, Point, Standing, Sum, Value
from takings.reports.asking import Drill, Line, Named, Payment, Reports, Use, parameters
from takings.reports.board import Board, Curve, Reading, View
from takings.reports.dashboards import BadDashboard, Dashboard
from takings.reports.dashboards import load as load_dashboards
from takings.reports.export import Column, Sheet, to_csv, to_excel
from takings.reports.figures import AGES, FIGURES, Figure, Topic, figures_of
from takings.reports.lacking import Missing, missing_from, missing_of
from takings.reports.links import in_stripe
from takings.reports.pdf import Document, to_pdf
from takings.reports.question import Question, Scope, State, parse, scopes
from takings.reports.ranges import COMPARES, GRAINS, PRESETS, Bucket, Compare, Days, Grain, Preset
from takings.reports.saved import SavedQueries, SavedQuery
from takings.reports.stripe_compare import Comparison, Difference, StripeCompare
from takings.reports.stripe_files import StripeFile, read_file
from takings.reports.stripe_mrr import MrrComparison, MrrDifference, MrrFile, StripeMrrCompare, read_mrr
from takings.reports.stripe_reports import REPORTS, ReportName, Span, StripeReports
from takings.reports.tables import ColumnInfo, Key, Tables, TableSummary

__all__ = [
    "AGES",
    "COMPARES",
    "FIGURES",
    "GRAINS",
    "PRESETS",
    "REPORTS",
    "Answer",
    "BadDashboard",
    "Board",
    "Bucket",
    "Column",
    "ColumnInfo",
    "Compare",
    "Comparison",
    "Curve",
    "Dashboard",
    "Days",
    "Detail",
    "Difference",
    "Document",
    "Drill",
    "Figure",
    "Grain",
    "Key",
    "Line",
    "Missing",
    "MrrComparison",
    "MrrDifference",
    "MrrFile",
    "Named",
    "Payment",
    "Point",
    "Preset",
    "Question",
    "Reading",
    "ReportName",
    "Reports",
    "SavedQueries",
    "SavedQuery",
    "Scope",
    "Sheet",
    "Span",
    "Standing",
    "State",
    "StripeCompare",
    "StripeFile",
    "StripeMrrCompare",
    "StripeReports",
    "Sum",
    "TableSummary",
    "Tables",
    "Topic",
    "Use",
    "Value",
    "View",
    "figures_of",
    "in_stripe",
    "load_dashboards",
    "missing_from",
    "missing_of",
    "parameters",
    "parse",
    "read_file",
    "read_mrr",
    "scopes",
    "to_csv",
    "to_excel",
    "to_pdf",
]
