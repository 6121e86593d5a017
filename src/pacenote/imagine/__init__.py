"""Painted scenes: pairs of pictures and captions, a painter, and rounds in which it learns from its best pictures."""
