"""Patches of two-dimensional images: cut out, and added up again. Torch takes 1.3 to 2 times as long for the one,
by a strided view, and two to four times for the other, adding whole images, place by place."""

from mho.numerics.machine_code import kernel


@kernel
def add_patches(images, first, top, lines, across, shape, stride, dilation, part, begin, end):
    """Add the numbers of patches to the images that they come from: samples begin to end - 1 of a piece.

    Args:
        images: (samples, channels, height, width); part: (patches, width of one or more), of the whole piece, whose
            first patch is in output line `top` of image `first`.
        lines, across: output lines of an image in the piece, and places in a line.
        shape, stride, dilation: of the kernel, two numbers each.

    A pixel gets its numbers in the order of the places in the kernel, as when whole images are added for each of
    these in turn; that is why lines and places are taken from the end.
    """
    for r in range(begin, end):
        n = first + r
        for y in range(lines - 1, -1, -1):
            upper = (top + y) * stride[0]
            for x in range(across - 1, -1, -1):
                row, left, at = part[(r * lines + y) * across + x], x * stride[1], 0
                for channel in range(images.shape[1]):
                    for i in range(shape[0]):
                        to = images[n, channel, upper + i * dilation[0]]
                        for j in range(shape[1]):
                            to[left + j * dilation[1]] += row[at]
                            at += 1


@kernel
def cut_patches(images, first, top, lines, across, shape, stride, dilation, part, begin, end):
    """Cut patches out of images: fill `part`, except its columns behind the patches.
    The arguments are those of `add_patches`."""
    for r in range(begin, end):
        n = first + r
        for y in range(lines):
            upper, place = (top + y) * stride[0], (r * lines + y) * across
            for channel in range(images.shape[1]):
                for i in range(shape[0]):
                    line = images[n, channel, upper + i * dilation[0]]
                    at = (channel * shape[0] + i) * shape[1]
                    for j in range(shape[1]):
                        for x in range(across):
                            part[place + x, at + j] = line[x * stride[1] + j * dilation[1]]
