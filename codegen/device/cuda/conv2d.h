#pragma once
// Convolution, forward and both gradients, as tiled products. Images are NHWC, weights as in
// checkpoints (OIHW); the groups are independent products.
//
// Each function is a kernel with launches(c, pass, t) entries, the `phase`s: the weights are packed
// to the workspace if the kernel has more than one tap, then the product runs, then the shares of
// its splits are added. Images are of floats or, where the tiling says so, rounded (elements.h);
// the weights and their gradients are floats.

#include "codegen/device/cuda/operands.h"
#include "codegen/device/cuda/product.h"

namespace netc {

/// Index of a weight in OIHW; `out` counts all groups, `in` those of a group.
template <Conv2d c> long weight_index(long out, int in, int tap) {
  return (out * c.group_in() + in) * (c.kernel_height * c.kernel_width) + tap;
}

/// Stores 1 or 4 neighbours, four of them aligned.
template <class T> void store_run(Global<T> to, long at, int count, const float* sums) {
  if (count == 4)
    store4(to, at, {sums[0], sums[1], sums[2], sums[3]});
  else
    to[at] = sums[0];
}

/// Products whose results lie in memory as they are.
struct InOrder {
  static constexpr bool in_order = true;
};

/// What a pass whose images have elements X tells of itself.
template <Conv2d c, ContractionPass pass, Tiling t, class X> struct PassTraits {
  static_assert(!t.halo || product_shape(c, pass).depth % (t.slice * taps_of(c)) == 0,
                "blocks of channels are whole");
  static_assert(t.rounded ? (t.math == Math::bf16 ? is_same<X, Bf16> : is_same<X, Tf32>)
                          : !is_same<X, Bf16>,
                "the images are rounded as the tiling says");
  static constexpr bool direct = is_direct(c, pass, t);
  static constexpr bool direct_rows = has_direct_rows(c, pass, t);
  static constexpr bool direct_columns = has_direct_columns(c, pass, t);
  static constexpr int taps = taps_of(c), slices = shared_slices(c, pass, t);
  static constexpr bool whole = c.exact_blocks == 0 && product_shape(c, pass).depth % t.slice == 0;
  /// With a halo: the images, the lines that a tile has of them, and the one where a tap begins.
  using Pixels = PaddedPixels<gather_of(c, pass), X>;
  static constexpr int halo_lines = netc::halo_lines(c, pass, t);
  static int line_of(int tap) {
    // The taps of a data gradient run the other way.
    const int at = pass == ContractionPass::data_gradient ? taps - 1 - tap : tap;
    return at / c.kernel_width * c.dilation_height * Pixels::images.width +
           at % c.kernel_width * c.dilation_width;
  }
  /// Of the weights.
  using Weight = typename Choose<direct, X, float>::Type;
};

template <Conv2d c, Tiling t, class X, class Y, class Epilogue>
struct ConvForward : InOrder, PassTraits<c, ContractionPass::forward, t, X> {
  using G = Geometry<c>;
  using A = InputUnderOutput<c, X>;
  using B = DeepWeights<c, G::group_out, G::group_in, typename ConvForward::Weight>;
  static constexpr int leaves = G::leaves;
  A a;
  B b;
  Global<Y> y;
  const Epilogue& epilogue;

  static int depth(int leaf) { return G::taps * leaf_range<G::group_in, leaves>(leaf).count; }
  ConvForward at(int group) const {
    return {{}, {}, {a.data, group}, {b.data, group}, y, epilogue};
  }
  void finish(long pixel, int channel, int count, float* sums) const {
    channel += a.group * G::group_out;
    epilogue(sums, pixel, channel, count);
    store_run(y, pixel * G::out_channels + channel, count, sums);
  }
};

/// The weights of the data gradient.
template <Conv2d c, class T>
using GradientWeights =
    typename Choose<packs(c, ContractionPass::data_gradient),
                    DeepWeights<c, Geometry<c>::group_in, Geometry<c>::group_out, T>,
                    StoredWeights<c>>::Type;

template <Conv2d c, Tiling t, class X, class Y, class Epilogue>
struct ConvDataGradient : InOrder, PassTraits<c, ContractionPass::data_gradient, t, X> {
  using G = Geometry<c>;
  using A = OutputOverInput<c, X>;
  using B = GradientWeights<c, typename ConvDataGradient::Weight>;
  static constexpr int leaves = G::leaves;
  A a;
  B b;
  Global<Y> dx;
  const Epilogue& epilogue;

  static int depth(int leaf) { return G::taps * leaf_range<G::group_out, leaves>(leaf).count; }
  ConvDataGradient at(int group) const {
    return {{}, {}, {a.data, group}, {b.data, group}, dx, epilogue};
  }
  void finish(long pixel, int channel, int count, float* sums) const {
    channel += a.group * G::group_in;
    epilogue(sums, pixel, channel, count);
    store_run(dx, pixel * G::in_channels + channel, count, sums);
  }
};

/// The epilogue of a weight gradient with which that of a bias is computed, `sums`.
struct BiasGradient : NoEpilogue {
  Global<float> sums;
};

/// The epilogue sees the gradient as a matrix [output channel][input channel and tap], the order of
/// the memory. `turned`: the product's rows are taps and input channels, its columns output
/// channels. Of the many rows, tiles waste few; and the columns, which TF32 needs laid out anew,
/// lie simply.
template <Conv2d c, Tiling t, class X, class Y, class Epilogue>
struct ConvWeightGradient : PassTraits<c, ContractionPass::weight_gradient, t, X> {
  static_assert(is_same<X, Bf16> == is_same<Y, Bf16>, "both operands are bf16, or none");
  using G = Geometry<c>;
  static constexpr bool in_order = G::taps == 1, turned = !in_order;
  static_assert(!t.rounded || is_same<X, Y>, "both operands are rounded");
  using A = typename Choose<turned, InputAtTap<c, X>, OutputGradient<c, Y>>::Type;
  using B = typename Choose<turned, OutputGradient<c, Y>, InputAtTap<c, X>>::Type;
  static constexpr int leaves = G::leaves;
  A a;
  B b;
  Global<float> dw;
  const Epilogue& epilogue;

  static int depth(int leaf) { return leaf_images<c>(leaf).count * (G::out_height * G::out_width); }
  ConvWeightGradient at(int group) const {
    return {{}, {a.data, group}, {b.data, group}, dw, epilogue};
  }
  void finish(long row, int column, int count, float* sums) const {
    const long out = a.group * G::group_out + (turned ? column : row);
    if constexpr (c.bias_gradient)
      if (row == A::ones) {
        epilogue.sums[out] = sums[0];
        return;
      }
    const int line = turned ? static_cast<int>(row) : column;
    const int in = line % G::group_in, tap = line / G::group_in;
    epilogue(sums, out, in * G::taps + tap, count);
    store_run(dw, weight_index<c>(out, in, tap), count, sums);
  }
};

/// Packs weights as [group][line][block of channels][tap][channel], see TapChannel: a line is an
/// output channel (forward) or an input channel (data gradient) of the group.
template <Conv2d c, ContractionPass pass, Tiling t, class T>
void pack_weights(Global<const float> w, Global<T> packed) {
  using G = Geometry<c>;
  constexpr bool forward = pass == ContractionPass::forward;
  constexpr int lines = forward ? G::group_out : G::group_in;
  constexpr int channels = forward ? G::group_in : G::group_out;
  constexpr int block_channels = t.halo ? t.slice : channel_block<c>(channels, line_elements<T>);
  constexpr int blocks_of = channels / block_channels;
  constexpr long all = product_shape(c, pass).packed_floats;
  for (long i = block() * lanes() + lane(); i < all; i += blocks() * lanes()) {
    const int channel = static_cast<int>(i % block_channels + i / (block_channels * G::taps) %
                                                                  blocks_of * block_channels);
    const int tap = static_cast<int>(i / block_channels % G::taps);
    const int line = static_cast<int>(i / (channels * G::taps) % lines);
    const int group = static_cast<int>(i / (long(channels) * G::taps * lines));
    const int out = group * G::group_out + (forward ? line : channel);
    packed[i] = w[weight_index<c>(out, forward ? channel : line, tap)];
  }
}

/// The part of a kernel that follows packing: the product, or adding its splits.
template <Conv2d c, ContractionPass pass, Tiling t, int phase, class Product>
void product_phase(const Product& p, Global<float> workspace) {
  constexpr ProductShape shape = product_shape(c, pass);
  const Global<float> shares = workspace + packed_workspace_floats(c, pass);
  if constexpr (phase == packs(c, pass))
    tiled_product<t, shape, tiled_rows(c, pass, t)>(p, shares);
  else
    add_shares<t, shape>(p, shares);
}

/// Forward or data gradient, a Product of images `from`, weights and images `to`.
template <template <Conv2d, Tiling, class, class, class> class Product, Conv2d c,
          ContractionPass pass, Tiling t, int phase, class X, class Y, class Epilogue>
void image_product(Global<const X> from, Global<const float> w, Global<Y> to,
                   Global<float> workspace, const Epilogue& epilogue) {
  using P = Product<c, t, X, Y, Epilogue>;
  using Weight = typename P::Weight;
  constexpr bool packed = packs(c, pass);
  if constexpr (packed && phase == 0)
    pack_weights<c, pass, t>(w, as_elements<Weight>(workspace));
  else
    product_phase<c, pass, t, phase>(
        P{{},
          {},
          {from, 0},
          {as_elements<const Weight>(packed ? Global<const float>(workspace) : w), 0},
          to,
          epilogue},
        workspace);
}

/// y = conv(x, w), then epilogue.
template <Conv2d c, Tiling t, int phase, class X, class Y, class Epilogue = NoEpilogue>
void conv2d_forward(Global<const X> x, Global<const float> w, Global<Y> y, Global<float> workspace,
                    const Epilogue& epilogue) {
  image_product<ConvForward, c, ContractionPass::forward, t, phase>(x, w, y, workspace, epilogue);
}

/// dx = the gradient of conv(x, w) for dy, then epilogue.
template <Conv2d c, Tiling t, int phase, class X, class Y, class Epilogue = NoEpilogue>
void conv2d_data_gradient(Global<const X> dy, Global<const float> w, Global<Y> dx,
                          Global<float> workspace, const Epilogue& epilogue) {
  image_product<ConvDataGradient, c, ContractionPass::data_gradient, t, phase>(dy, w, dx, workspace,
                                                                               epilogue);
}

/// dw = the gradient of conv(x, w) for dy, then epilogue.
template <Conv2d c, Tiling t, int phase, class X, class Y, class Epilogue = NoEpilogue>
void conv2d_weight_gradient(Global<const X> x, Global<const Y> dy, Global<float> dw,
                            Global<float> workspace, const Epilogue& epilogue) {
  using Product = ConvWeightGradient<c, t, X, Y, Epilogue>;
  const InputAtTap<c, X> input{x, 0};
  const OutputGradient<c, Y> gradient{dy, 0};
  if constexpr (Product::turned)
    product_phase<c, ContractionPass::weight_gradient, t, phase>(
        Product{{}, input, gradient, dw, epilogue}, workspace);
  else
    product_phase<c, ContractionPass::weight_gradient, t, phase>(
        Product{{}, gradient, input, dw, epilogue}, workspace);
}

} // namespace netc
