"""Tokenizers trained from counts: count, learn, extend, prune, compare, export."""
