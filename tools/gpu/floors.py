"""How fast AlexNet's training step could be on an H200: each tensor moved once, each multiply-add
done once, at rates that were measured or are the card's.

A kernel takes at least the larger of its arithmetic and of its bytes. A convolution or linear layer
is three such kernels (forward, data gradient, weight gradient), each of which reads or writes the
layer's input, output and weights once; conv1 has no data gradient.
"""
BYTES_PER_SECOND = 4.3e12  # copy, measured
FLOPS = {"fp32": 67e12, "3xtf32": 133e12, "tf32": 400e12, "bf16": 790e12}
ACTIVATION_BYTES = {"fp32": 4, "3xtf32": 4, "tf32": 4, "bf16": 2}
PARAMETERS = 60_965_224

PASSES = ("forward", "data gradient", "weight gradient")

# Elements of an image's input and output, of the weights, and multiply-adds an image.
LAYERS = {
    "conv1": (3 * 227 * 227, 96 * 55 * 55, 96 * 363, 105_415_200),
    "conv2": (96 * 27 * 27, 256 * 27 * 27, 256 * 1200, 223_948_800),
    "conv3": (256 * 13 * 13, 384 * 13 * 13, 384 * 2304, 149_520_384),
    "conv4": (384 * 13 * 13, 384 * 13 * 13, 384 * 1728, 112_140_288),
    "conv5": (384 * 13 * 13, 256 * 13 * 13, 256 * 1728, 74_760_192),
    "fc6": (9216, 4096, 9216 * 4096, 9216 * 4096),
    "fc7": (4096, 4096, 4096 * 4096, 4096 * 4096),
    "fc8": (4096, 1000, 4096 * 1000, 4096 * 1000),
}
# Elements of an image before and after the three poolings.
POOLS = ((96 * 55 * 55, 96 * 27 * 27), (256 * 27 * 27, 256 * 13 * 13), (256 * 13 * 13, 256 * 6 * 6))


def milliseconds(bytes_moved, flops=0.0, rate=1.0):
    return 1e3 * max(bytes_moved / BYTES_PER_SECOND, flops / rate)


def floors(batch, precision):
    """Milliseconds by (part, pass): the layers, `pools` with ReLU and LRN, `input`, `update`."""
    size = ACTIVATION_BYTES[precision]
    result = {}
    for layer, (before, after, weights, macs) in LAYERS.items():
        moved = size * (batch * (before + after) + weights)
        for which in PASSES:
            if (layer, which) != ("conv1", "data gradient"):
                result[layer, which] = milliseconds(moved, 2.0 * macs * batch, FLOPS[precision])
    before = size * batch * sum(pool[0] for pool in POOLS)
    after = size * batch * sum(pool[1] for pool in POOLS)
    result["pools", "forward"] = milliseconds(before + after)
    result["pools", "data gradient"] = milliseconds(2 * before + after)
    pixels = batch * LAYERS["conv1"][0]
    result["input", "forward"] = milliseconds(pixels + size * pixels)  # bytes to numbers
    result["update", "weight gradient"] = update_floor(PARAMETERS)
    return result


def update_floor(parameters):
    """Weight and momentum are read and written, the gradient is read: in f32 in every precision."""
    return milliseconds(5 * 4 * parameters)


def step_floor(batch, precision):
    """Milliseconds of the whole training step."""
    return sum(floors(batch, precision).values())
