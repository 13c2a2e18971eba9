"""Experiments of arXiv 2502.06309: Residual Learning on devices with general response functions."""
