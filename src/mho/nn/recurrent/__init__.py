"""Layers with time steps: plain, LSTM and GRU.

    layers      `AnalogRNN`, `AnalogLSTM` and `AnalogGRU`: layers, directions, initial states, dropout.
    direction   one direction of one layer: its matrices W_ih, W_hh and, with a projection, W_hr.
    recurrence  all time steps of one direction as one node of autograd.
    gates       the formulas of one time step, forward and backward.
    sequences   the forms of the inputs: batch first or second, without a batch, packed.

The input of all time steps is one product with W_ih; the state is one product with W_hh a step. So the samples of
W_ih come in the order of time step and sample, and those of W_hh in the order in which the steps are taken.

A product is one call of its matrix, with an event of its own: the k-th time step has the noise of the k-th call.
Backward leaves one pair of factors a call with each block, and the optimizer's step learns from all of them, in the
order of the calls, not in the order of the backward.

Rules of this room:

* Gates and states are digital, in torch operations on float32.
* A matrix is an `AnalogLinear`. So sub-tiles, digital scales, wires and checkpoints of a recurrent layer are those
  of a linear one.
* `recurrence.run` and `Direction._step_by_step` give the same bits. The first is fast; the second serves
  torch.compile, and layers with hooks or dealt-out rows.

To add a kind of gate:

    1. write forward and backward in gates, and enter them in `GATES` under the `mode` of the torch layer;
    2. write a subclass of `_Recurrent` in layers, and enter it in `ANALOG_OF`;
    3. add a row to tests/test_recurrent.py, which compares it with its torch layer: outputs, gradients, states,
       packed sequences and checkpoints.
"""
