"""The compiler of response laws: from methods in torch to kernels in float32, in float64, and for Triton.

    plan         the input: a law, the values of its parameters, the kind of noise; protocols of what callers pass
    trace        the law's method, run on symbols -> a graph of torch operations
    lowerings    a rule for each operation that is not one function call
    emit         the graph -> scalar float32 code, and the functions that it calls
    translation  scalar code, and all that it calls, in another dialect
    dialect      `FLOAT32`, `FLOAT64` and `TRITON`: heads of modules, access to a cell's parameters
    build        the functions for one pulse; a module of loops joined to a law by one rewritten import line
    cache        the generated modules, named by a digest of all source that they reach

The generated modules lie in the cache folder (MHO_CACHE) and can be read: `mho_law_*.py` holds the law and a pulse,
`mho_trains_*.py` and others are copies of `cpu/*.py` and `gpu/*.py` that import it.

To add an operation, such as a sine, write one function in `mho.numerics.math32`:

    @elementary("sin", double=np.sin, share=0.4)
    def sin32(x):
        ...

Its name in torch, its float32 form, its Triton form (translated), its float64 form (numpy's, or translated too) and
its cost are now known to all dialects; `torch.sin(w)` and `w.sin()` compile. `tests/test_lowering.py` asks for an
expression that uses it, `tests/test_math32.py` for its error.

The function may call others of `math32`. Without `double` its own text is read as float64, which suits functions
that hold no polynomial and no bit pattern, such as `sigmoid32`.

An operation that is not one call, such as `torch.lerp`, is a rule in `lowerings`: a function of the writer and
torch's own arguments, and its entry in `LOWERINGS`.
"""
