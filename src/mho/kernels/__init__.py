"""Compiled code: the law compiler, and the loops of the CPU and of the GPU that its laws are joined to.

A pulsed update is millions of evaluations of a response law that somebody wrote in torch. Here the law becomes
machine code, and the loops around it run at the speed of the memory.

    law/       the compiler: a law in torch -> scalar code in one of three dialects -> a module of kernels
    cpu/       loops for a CPU, compiled by Numba
    gpu/       the same loops as Triton programs
    oracle     the update as plain loops, one pulse at a time: slow, and the meaning of the other two
    update     the choice between CPU and GPU, for the memory of a tile

The rules of the house:

* Every result is a pure function of the cells, the request, the key and the event. The number of threads, the size
  of a block and the processor do not show: CPU, GPU and oracle agree bit for bit.
* Kernels know neither devices nor responses nor tiles. Their callers make a `law.plan.KernelPlan`.
* Kernels check nothing. Arguments are checked where a user passes them, in `mho.tile.checks`.
* Nothing is written twice: not a law, not a polynomial, not a random number's name.

The walk of an update: `Tile.update` -> `update_kernels` (once) -> `cpu.update.CpuKernels.update` -> `cpu.lines`
(the slots that fire) -> `cpu.trains` (the pulses, row by row) -> `step_up` of the generated law -> `Sent`, the
counts of pulses.

To add:

* an operation of laws: see `law`;
* another way to send pulses: a module of loops in `cpu/` that imports the ideal cell by one line, its twin in
  `gpu/`, its plain form in `oracle`, and a method of `UpdateKernels`;
* another kind of processor: a room beside `cpu/` and `gpu/`, and a `law.dialect.Dialect`.
"""
