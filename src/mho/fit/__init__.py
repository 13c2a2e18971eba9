"""A device from measured pulses: the law, its parameters, how sure they are, and whether any law fits at all.

    from mho import fit

    result = fit.fit("up.csv", "down.csv", law="auto", span=(1e-6, 9e-6))
    result.device                              # an mho.Device, ready for mho.Crossbar(device=...)
    fit.verdict(result)                        # which law, and why
    fit.as_dict(result)                        # the whole report as data
    fit.write(result, "my-device")             # device.json, report.json, fit.png, fit.pdf

The modules, each of which imports from those above it only:

    measured      the data: ramps of reads, or steps by conductance; mean steps in bins
    cells         the cells of a file: text, workbooks, arrays
    layout        the table in them: heading, rows, what stands around
    roles         what each column is, by heading and numbers
    cuts          rows as ramps: cycles, polarity, turning points
    read          files of pulse data
    families      the laws that can be fitted, from `Response.fitting` of each
    noise         noise of pulses and noise of reads, told apart
    means         least squares on mean steps
    filter        the next read of a ramp, predicted from the reads so far
    ramps         a law fitted to ramps, with its noises
    points        symmetric points of the data and of a law, and the shape of the steps
    ranking       the comparison of the laws
    spread        intervals and spread from several ramps
    tabulated     a device whose law is the data
    result        the record that a fit gives
    fitting       `fit`, all steps in order
    report        the report as data, in sentences and as files
    figure        steps and ramps, data and law

The rule: a fit never returns a number that the data do not hold. A parameter at its limit, a symmetric point that
is not determined and a law that is rejected are called so.

To add a law to those that are tried, declare `fitting` in its class: see `mho.responses.fitting`.
"""

from mho.fit.fitting import fit
from mho.fit.report import as_dict, verdict, write
from mho.fit.result import Fit

__all__ = ["Fit", "as_dict", "fit", "verdict", "write"]
