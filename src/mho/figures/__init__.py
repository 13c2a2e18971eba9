"""Figures for print, all in one style.

    from mho.figures.curves import comparison
    from mho.figures.style import save

    save(comparison({"erider": histories}), "runs/accuracy")  # accuracy.png and accuracy.pdf

The modules:

    mho.mplstyle    fonts, lines, colours and resolution; matplotlib reads it anywhere
    style           the style in Python, the marks and line styles of a series, `save`
    curves          loss and accuracy of one training; accuracies of several trainings
    calibration     errors against the number of pulses, the figure of `mho calibrate`

A figure of one room stands in that room: `mho.datasheet.figure`, `mho.diagnostics.figure`, `mho.fit.figure` and
`mho.experiments.figures` take style and files from here.

The rules:

* A function that draws is decorated with `style.in_style` and returns a `matplotlib.figure.Figure`. It never opens
  a window and never touches `pyplot`.
* Colours come from `style.COLOURS`, and no information stands in colour alone: each series also has its mark or
  its line style.
* Axes name their quantity and its unit: "accuracy [%]". A figure is 7.2 inches wide (two columns of a journal) or
  about half of that.
* `style.save` writes the same bytes for the same figure.

A new figure is a function in the room that has the numbers. Matplotlib takes a second to import, so callers import
the module of a figure inside the function that needs it.
"""
