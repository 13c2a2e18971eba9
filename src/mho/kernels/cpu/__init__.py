"""Loops for the CPU, compiled by Numba.

    update       one tile's update: rooms, threads, blocks of samples
    lines        stochastic bit lines: the slots in which rows and columns fire
    trains       the pulses of a block of samples, row by row; also stochastic rounding
    aggregated   the pulses of several samples counted, then applied together by the law's flow
    counted      given numbers of pulses, for `Tile.pulse`
    shift        millions of single pulses on every cell, for calibrations, in float64
    ideal        the ideal cell: the pattern of a generated law
    finish       the end of a row's update: apparent weights, NaN and infinity
    memory       tables of addresses by which arrays come and go
    converters   DAC and ADC of a product, and checks of what comes in
    assemble     scales, sums and biases of a matrix of blocks
    patches      patches of images, for convolutions
    write_noise  write noise, for the cells that changed

The first five modules after `lines` import a law by one line, which `kernels/law/build.py` rewrites.

The rules of the room:

* Arrays come by address (`memory`): a named tuple of arrays costs more than a small update.
* Positions are uint64, so that Numba spares the test for negative indices.
* Nothing is allocated in a warm step; every thread keeps its own scratch.
* Loops are written so that LLVM vectorises them, and a vector gives the bits of a single number: no `fastmath`, no
  reordering, selects in place of branches.

To add a kernel, decorate it with `lean_kernel` (never allocates) or `kernel`, give it a plain form in
`mho.kernels.oracle` or in torch, and compare the two bit for bit in a test. Then measure with
`python benchmarks/pulse_cost.py`.
"""
