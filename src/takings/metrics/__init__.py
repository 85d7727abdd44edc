"""What each number means: SQL models with a header, in the order they need each other, and figures that explain themselves."""

from takings.metrics.builder import Builder, Built
from takings.metrics.explaining import Contribution, Figure, Figures, Question
from takings.metrics.model import Measure, Model
from takings.metrics.registry import Registry

__all__ = ["Builder", "Built", "Contribution", "Figure", "Figures", "Measure", "Model", "Question", "Registry"]
