"""Recipes: YAML files of typed stages, each skipped when nothing that it reads has changed."""

from pacenote.recipes.recipe import Recipe, find, load
from pacenote.recipes.runner import run_recipe

__all__ = ["Recipe", "find", "load", "run_recipe"]
