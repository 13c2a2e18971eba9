"""The conversion of a model: from digital layers to analog ones, and back.

    convert     `convert_` and `to_digital_`: choose, check, make, replace.
    selection   the choice of layers by name, pattern and type, and the hardware of each.
    preserved   the properties that a conversion keeps, and those that it refuses to lose.

Both are methods of no class: they take any torch.nn.Module, and return it or, if the model is itself a layer, its
counterpart. `convert_` takes these steps, and changes the model only in the last:

    1. choose    find all layers of a type in `ANALOG_OF`, by all names that the model has for them, and the
                 hardware of each.
    2. check     refuse a layer that cannot be kept whole: tied weights, hooks on a state_dict, weight norms,
                 weights of which some are frozen.
    3. make      build each analog layer with a key that follows from the first name of the digital one.
    4. replace   put each analog layer into all places of the digital one, with its hooks and its mode.

Rules of this room:

* No layer is imported here. `mho.nn.core.layer.ANALOG_OF` says which torch layer has which counterpart, and each
  layer enters itself.
* An error leaves the model as it was.
* A key follows from a name, never from an order: a layer that is added elsewhere changes no other layer's noise.
* A layer under several names is converted once. It stays one layer, with the key of its first name.
* `to_digital_` after `convert_` gives the same weights bit for bit, as far as the cells can hold them.

To add a layer that converts, see `mho.nn`; tests/test_convert.py then asks of it what it asks of all layers.

To keep one more property of a layer, edit `preserved._pass_on`, and say in tests/test_convert.py which property.
To choose layers in another way, pass `filter_fn`; to give them other hardware, a mapping of names and patterns.
"""
