"""The physics of cells, as records: all that a `Device` holds, and the converters around an array.

    import mho

    device = mho.Device(mho.responses.SoftBounds(tau_max=0.8), dw_min=0.01, spread={"gain": 0.3})
    cell = device.cell                     # the nominal cell: law, gains, bounds, reference
    cell.up(0.1), cell.G(0.1), cell.central_sp()
    cells = device.draw((128, 64), key=7)  # the cells of one tile: planes in place of numbers
    cells.F(w), cells.sp_or_nan((128, 64))

The modules, each of which imports from those above it only:

    spread        distributions of a parameter over the cells
    retention     decay, diffusion, reset and drift between two writes
    pulses        pulse trains, rounded counts, or arithmetic in place of pulses
    io            converters of one direction
    cell          `Cells`: one cell, or all cells of a tile, and all that follows from law, gains and bounds
    device        `Device`: the record of a user, and the draw of its cells

The rules:

* Records hold numbers, never tensors, and check them when they are made.
* A drawn cell is a pure function of device, shape and key.
* G, F, R and symmetric points with gains exist once, in `cell`, on top of `Response.F` and `Response.G`. Nobody
  multiplies a gain and a law by hand.

To add a kind of spread, write a record in `spread` with `sigma` and `values(nominal, xi)`. To add a property of
cells, add a field to `Device` with its unit and domain, draw it in `Device.draw` from a stream of its own name, and
keep it out of the nominal device in `mho.datasheet.nominal`.
"""
