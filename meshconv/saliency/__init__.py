"""Saliency: where a decision lives, on pixels and on the surface, and how far such a picture can be
trusted.
"""
