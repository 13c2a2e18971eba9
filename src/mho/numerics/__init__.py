"""Numbers: random streams, threads, and the scalar functions that compiled code is made of.

Random numbers. A number is named, never drawn in sequence:

    rng        keys: a tile's key, a stream (its purpose), an event (a counter); in plain integers
    philox     words as a function of key and counter, compiled
    normal     normal numbers from words
    uniform    uniform numbers and signs from words
    draw       device-to-device draws as tensors

Compiled code:

    compile        decorators of parts, and `elementary`: the table of functions that laws may call
    machine_code   decorators of kernels, whose machine code later processes find
    math32         exp, log, pow, tanh and others in float32: no table, no branch, stated errors
    lookup         interpolation in tables
    vector         operations of LLVM that Numba does not expose
    address        arrays from memory addresses
    threads        a pool that runs a kernel over blocks of rows
    rooms          scratch memory by shape, kept by each thread up to a limit

The rules of the room: results depend on no thread, no order and no processor. Polynomials are built from additions,
multiplications and fused multiply-adds that are written as such, so that a vector, a single call and a GPU give the
same bits. Importing `mho` loads `rng`, `draw` and `threads` alone; the others load Numba.

To add a function that laws may call, write it in `math32` under `@elementary(...)`, state its error in ulp in the
docstring, and add it to the table of `tests/test_math32.py`. Nothing else is needed, see `mho.kernels.law`.

To add a stream of random numbers, append it to `rng.Stream`: its number is part of the file format.

To add a kernel that fills a plane, give it a stream, write its counters into its docstring, and compare its words
with `rng.philox4x32` in a test.
"""
