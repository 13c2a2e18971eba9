"""The parts that several algorithms share: lines that are transferred, buffers, choppers, tracking, optimizers.

`lines`      one column, one row or all of an array: `next_line`, `TransferLine`, `transfer`
`buffer`     the digital sum that must reach a threshold before an array gets a pulse: `scale`, `fire`
`chopper`    signs that modulate the gradient on an array but not the array's own drift: `chopped`, `flips`
`dynamic`    the step of `AGAD` and `ERIDER`: a chopped gradient, and a reference that is tracked between flips
`supplier`   any torch optimizer as a function of weight, gradient and rate, with its memory in buffers

All but `supplier` work on one `TransferLine` at a time.

A part is a few functions of an algorithm `a`, its state `s` and a line; it holds no state of its own. It reads
fields of `a` by the names that this package gives them (fast_lr, transfer_lr, transfer_every, chop_prob, ...), and
its docstring lists those names. An algorithm whose fields are called otherwise uses `lines`, `due` and `rate`,
which take plain numbers.

A step of Tiki-Taka reads so:

    s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))        # the gradient
    if due(s, self.transfer_every):                                         # s.t counts the steps
        line = next_line(s, self.transfer, s.P.shape, self.transfer_every)  # whose turn it is
        line.write(s.W, line.read(s.P), rate(self.transfer_lr, self.scale_transfer_lr, lr))

A step of Tiki-Taka v2 gathers what it reads, and sends whole pulses:

    line.of(s.H).add_(line.read(s.P), alpha=scale(self, s, lr))             # H, in pulses of W
    fire(self, s, line)                                                     # its whole part leaves H for W

The rule of this room: numbers that decide, such as flips, come from `Stream.CHOP` under `s.key` and the step, so
that a resumed training draws the same ones; and arithmetic stays in place, in float32, in the order that the tests
of exact bits have recorded. A function moves here when a second algorithm needs it, and not before.
"""
