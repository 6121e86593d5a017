"""Pacenote: from raw drives to a small vision-language model that warns like a rally co-driver."""

__version__ = "0.1.0"
