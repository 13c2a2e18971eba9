"""The parts of all analog layers: blocks of arrays, their product in autograd, and the factors that they learn.

The way of an input x, forward:

    a layer -> matrix.AnalogMatrix.forward -> product.product -> product.forward (the node of autograd)
            -> block.Block.product -> mho.tile.readout (wires, converters, noise) -> assemble.add_output

The way of an error d, from the loss to the pulses:

    product.backward -> assemble.error_of_block -> Block.record -> factors.Learning
            ... mho.AnalogOptimizer.step -> Block.step -> the algorithm's step -> Tile.update -> mho.kernels

The modules, from the bottom to the top:

    assemble    the digital side: cutting inputs, scaling and adding up outputs.
    calls       the calls of a layer, which number its noise and order its factors.
    parameter   `AnalogParameter`, a weight whose gradient is computed on request.
    bypass      uses of a weight past its layer; wrappers: DistributedDataParallel. Both are refused.
    first_order the nodes of autograd, whose second derivatives are refused.
    product     forward and backward of a matrix of blocks, one node of autograd.
    gather      rows of a matrix of blocks by their numbers, one node of autograd too.
    compiled    product as custom operators, for torch.compile; compiled_gather: the look-up.
    factors     `Learning`, the recorded factors of a block.
    block       `Block`, one sub-tile: the arrays of an algorithm, their product and their step.
    checkpoint  the label of a matrix in a state_dict, and its comparison before loading.
    layer       `AnalogLayer`, the base of layers, and `ANALOG_OF`, the table of their digital counterparts.
    matrix      `AnalogMatrix`, a matrix of blocks, and `Affine`, a matrix with a bias.

Rules of this room:

* Only a block knows arrays, and only a matrix makes blocks. product and compiled know the protocol
  `product.MatrixBlock` alone.
* A block looks at the version of its arrays before each product. So a write to an array shows in the next output.
"""
