"""A step of an algorithm as requests, which one compiled call carries out for all arrays of a model.

An algorithm's `step` is written for arrays and tensors. Here it gets stand-ins for them, which do nothing yet but
write down what is asked for:

`queue`      the requests so far, and the call that carries them out
`numbers`    a stand-in for a float32 tensor: lines and matrices, and the arithmetic of steps
`arrays`     stand-ins for a `Tile` and a `Plane`: their verbs
`state`      a stand-in for the `State` that holds them

What a stand-in does not know is done the usual way: all requests so far are carried out, then the real tensor or
array is asked. So any step that works without stand-ins works with them, and gives the same bits; the less a
stand-in knows of it, the less time it saves. Only arrays on a CPU have stand-ins.
"""
