"""Why each finding about an array matters, and what to try: {rule: (why, what to try)}."""

WORDS = {
    "saturated": (
        "A cell at a bound can only move back, and with soft bounds hardly that: the network cannot have "
        "the weights it asks for.",
        "smaller steps (lr, fast_lr); Mapping(omega=...), which starts the weights within the range; a "
        "device with wider bounds; for P: larger or more frequent transfers (transfer_lr, transfer_every).",
    ),
    "clipped": (
        "The largest products ask for more pulses than a train has slots: the update is not the gradient, "
        "its large parts are cut.",
        "a smaller rate; a longer train, Pulses(bl=...); smaller factors (normalised inputs, mean instead "
        "of sum in the loss).",
    ),
    "below granularity": (
        "A pulse is dw_min or nothing. Far below it the expected update is still right, but it comes as "
        "rare pulses, each many times too large: slow, and mostly noise. Late in a training that has "
        "converged this is usual.",
        "a larger rate; a device with smaller dw_min; an algorithm that collects digitally (MixedPrecision,"
        " TikiTakaV2).",
    ),
    "no gradient": (
        "Without errors d the arrays get no pulses, whatever the learning rate.",
        "look behind this layer: saturated activations, dead ReLUs, a loss that is detached or exactly 0.",
    ),
    "not finite": (
        "A step with such factors is refused.",
        "zero_grad and go on without this batch; lower the learning rate, also of the digital parameters.",
    ),
    "dead": (
        "It stays as it was programmed. An array that collects (W) gets pulses only for what a read's "
        "converter can tell from 0 (half of adc_step), and only once a threshold is reached.",
        "for W a larger transfer_lr, a smaller auto_granularity or thres_scale, a finer out_res of the "
        "transfer converters, more steps; for the others a larger rate.",
    ),
    "untrained": (
        "Other layers learn and this one does not.",
        "make the optimizer after convert_; check that the layer is part of the loss and not frozen on one "
        "side only.",
    ),
    "reference": (
        "Pulses of random sign drag P to its symmetric point. If that is not its zero, P reads a residual "
        "that is none, and W follows it. Algorithms that track or chop (ERIDER, AGAD) cope with it, within "
        "limits.",
        "calibrate: TwoStage, or mho.calibration.zero_shift and program_reference; or track: ERIDER, AGAD, "
        "ChoppedTikiTaka.",
    ),
    "asymmetric": (
        "Analog SGD minimises the loss plus a penalty that pulls weights to the symmetric points, the more "
        "so the noisier the gradient (arXiv 2502.06309, eq. (7)); here that pull is a large part of each "
        "pulse.",
        "ResidualLearning and its kin; or weights nearer to the symmetric points (wider bounds, smaller "
        "omega).",
    ),
    "forgetting": (
        "Up and down pulses that cancel each other still pull a weight to its symmetric point. What a weight holds "
        "is only what the gradient has renewed lately: the bias of Analog SGD, stronger for noisier gradients.",
        "ResidualLearning and its kin; less noise (larger batches, lr decay); a device with more states.",
    ),
    "coarse": (
        "One pulse changes a weight by a large part of what weights are: the array tells few levels apart.",
        "Mapping(omega=...), which spreads the weights over the range of the device, behind a digital scale.",
    ),
    "converters": (
        "The product that the network sees is not that of its weights, and the gradient does not know.",
        'noise_management="abs_max" and bound_management="iterative"; or normalised inputs, smaller weights.',
    ),
    "noisy outputs": (
        "What the layer computes drowns in the noise of its converters.",
        "Mapping(omega=...), which makes the array's weights larger and scales behind the converters; "
        "normalised inputs.",
    ),
    "stuck": (
        "No pulse moves them (Device(corrupt=...)); the rest of the network makes up for them. Other "
        "findings leave them out.",
        "nothing, if that is the device.",
    ),
}
