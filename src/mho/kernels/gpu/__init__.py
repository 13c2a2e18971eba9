"""The loops as Triton programs, for tensors on a GPU: the same random numbers and the same law as on the CPU.

Triton comes with torch's CUDA builds. Nothing here is imported before a tile on a GPU is used.

    update       one tile's update: the sequence of kernels
    drawing      the lines of a block of samples
    lines        the kernels that draw them
    noise        the noise of a block's pulses, drawn before they are sent
    trains       the pulses; also stochastic rounding
    counts       the pulses of several samples counted cell by cell
    aggregated   counted pulses applied together by the law's flow
    product      the analog product: converters around torch's matrix product
    converters   DAC and ADC
    normal       normal numbers; `normal_pair` is translated from the CPU's text
    philox       random words
    primitives   the operations that Numba and Triton spell differently
    launch       options, keys, widths and totals of a launch
    ideal        the ideal cell: the pattern of a generated law

`trains` and `aggregated` import a law by one line, which `kernels/law/build.py` rewrites.

The rules of the room:

* Every kernel is launched with `launch.EXACT`: each multiplication and each addition keeps a rounding of its own.
* Division, negation and square root of floats are primitives, because Triton's own round or sign otherwise.
* A program never waits for the host. An update waits once, for its totals, and once more if there is noise.

To add a kernel, write it against the CPU's and the oracle, and test it twice without a GPU:
`tests/gpu_interpreted.py` compares bits in Triton's interpreter, `tests/gpu_compiled.py` reads the assembly
for sm_90.
"""
