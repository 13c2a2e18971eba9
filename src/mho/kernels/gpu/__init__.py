"""The kernels as Triton programs, for tensors on a GPU: the same random numbers and the same law as on the CPU.

Needs Triton, which torch's CUDA builds bring along; nothing here is imported before a tile on a GPU is used.
"""
