#include "tests/support/alexnet_reference.h"

#include "ir/support/philox.h"

#include <algorithm>
#include <cmath>

namespace netc::test {

namespace {

/// The fixed numbers of a convolution.
struct Conv {
  int filters, kernel, stride, pad, groups;
};

Images padded(const Images& x, int pad) {
  Images y(x.count, x.channels, x.height + 2 * pad, x.width + 2 * pad);
  for (int n = 0; n < x.count; ++n)
    for (int c = 0; c < x.channels; ++c)
      for (int h = 0; h < x.height; ++h)
        std::copy_n(x.plane(n, c) + h * x.width, x.width,
                    y.plane(n, c) + (h + pad) * y.width + pad);
  return y;
}

Images without_padding(const Images& y, int pad) {
  Images x(y.count, y.channels, y.height - 2 * pad, y.width - 2 * pad);
  for (int n = 0; n < x.count; ++n)
    for (int c = 0; c < x.channels; ++c)
      for (int h = 0; h < x.height; ++h)
        std::copy_n(y.plane(n, c) + (h + pad) * y.width + pad, x.width,
                    x.plane(n, c) + h * x.width);
  return x;
}

/// Calls fn(filter, input channel, tap row, tap column, index of the weight) for every weight.
template <class Fn> void for_each_weight(const Conv& conv, int channels, Fn fn) {
  const int in = channels / conv.groups, out = conv.filters / conv.groups;
  size_t index = 0;
  for (int k = 0; k < conv.filters; ++k)
    for (int c = 0; c < in; ++c)
      for (int r = 0; r < conv.kernel; ++r)
        for (int s = 0; s < conv.kernel; ++s)
          fn(k, k / out * in + c, r, s, index++);
}

Images convolve(const Images& x, const Conv& conv, const std::vector<double>& w,
                const std::vector<double>& b) {
  const Images p = padded(x, conv.pad);
  const int oh = (p.height - conv.kernel) / conv.stride + 1;
  const int ow = (p.width - conv.kernel) / conv.stride + 1;
  Images y(x.count, conv.filters, oh, ow);
  for (int n = 0; n < x.count; ++n) {
    for (int k = 0; k < conv.filters; ++k)
      std::fill_n(y.plane(n, k), oh * ow, b[static_cast<size_t>(k)]);
    for_each_weight(conv, x.channels, [&](int k, int c, int r, int s, size_t i) {
      for (int h = 0; h < oh; ++h) {
        const double* from = p.plane(n, c) + (h * conv.stride + r) * p.width + s;
        double* to = y.plane(n, k) + h * ow;
        for (int q = 0; q < ow; ++q)
          to[q] += w[i] * from[q * conv.stride];
      }
    });
  }
  return y;
}

/// Fills the gradients of weights and bias and returns that of x.
Images convolve_backward(const Images& x, const Conv& conv, const std::vector<double>& w,
                         const Images& dy, std::vector<double>& dw, std::vector<double>& db) {
  const Images p = padded(x, conv.pad);
  Images dp(p.count, p.channels, p.height, p.width);
  dw.assign(w.size(), 0);
  db.assign(static_cast<size_t>(conv.filters), 0);
  for (int n = 0; n < x.count; ++n) {
    for (int k = 0; k < conv.filters; ++k)
      for (int i = 0; i < dy.height * dy.width; ++i)
        db[static_cast<size_t>(k)] += dy.plane(n, k)[i];
    for_each_weight(conv, x.channels, [&](int k, int c, int r, int s, size_t i) {
      double sum = 0;
      for (int h = 0; h < dy.height; ++h) {
        const int start = (h * conv.stride + r) * p.width + s;
        const double *from = p.plane(n, c) + start, *d = dy.plane(n, k) + h * dy.width;
        double* to = dp.plane(n, c) + start;
        for (int q = 0; q < dy.width; ++q) {
          sum += d[q] * from[q * conv.stride];
          to[q * conv.stride] += d[q] * w[i];
        }
      }
      dw[i] += sum;
    });
  }
  return without_padding(dp, conv.pad);
}

Images relu(const Images& x, double& margin) {
  Images y = x;
  for (double& value : y.data) {
    margin = std::min(margin, std::abs(value));
    value = std::max(value, 0.0);
  }
  return y;
}

void relu_backward(const Images& y, Images& dy) {
  for (size_t i = 0; i < y.data.size(); ++i)
    if (y.data[i] <= 0)
      dy.data[i] = 0;
}

/// Local response normalisation with the constants of section 3.3, within each of the two towers.
constexpr double norm_k = 2, norm_alpha = 1e-4, norm_beta = 0.75;
constexpr int norm_reach = 2;

/// Calls fn(j) for the channels that normalise channel i.
template <class Fn> void for_each_neighbour(int i, int channels, Fn fn) {
  const int tower = channels / 2, first = i / tower * tower;
  for (int j = std::max(first, i - norm_reach); j <= std::min(first + tower - 1, i + norm_reach);
       ++j)
    fn(j);
}

Images norm_scales(const Images& x) {
  Images s(x.count, x.channels, x.height, x.width);
  std::fill(s.data.begin(), s.data.end(), norm_k);
  for (int n = 0; n < x.count; ++n)
    for (int i = 0; i < x.channels; ++i)
      for_each_neighbour(i, x.channels, [&](int j) {
        for (int q = 0; q < x.height * x.width; ++q)
          s.plane(n, i)[q] += norm_alpha * x.plane(n, j)[q] * x.plane(n, j)[q];
      });
  return s;
}

Images normalise(const Images& x) {
  Images y = norm_scales(x);
  for (size_t i = 0; i < y.data.size(); ++i)
    y.data[i] = x.data[i] / std::pow(y.data[i], norm_beta);
  return y;
}

Images normalise_backward(const Images& x, const Images& dy) {
  const Images s = norm_scales(x);
  Images dx = dy;
  for (size_t i = 0; i < dx.data.size(); ++i)
    dx.data[i] /= std::pow(s.data[i], norm_beta);
  for (int n = 0; n < x.count; ++n)
    for (int i = 0; i < x.channels; ++i)
      for_each_neighbour(i, x.channels, [&](int j) {
        for (int q = 0; q < x.height * x.width; ++q)
          dx.plane(n, i)[q] -= 2 * norm_alpha * norm_beta * x.plane(n, i)[q] * x.plane(n, j)[q] *
                               dy.plane(n, j)[q] / std::pow(s.plane(n, j)[q], norm_beta + 1);
      });
  return dx;
}

/// The largest pixel of windows of 3x3 with stride 2; `where` remembers the first of them.
Images pool(const Images& x, std::vector<int>& where, double& margin) {
  Images y(x.count, x.channels, (x.height - 3) / 2 + 1, (x.width - 3) / 2 + 1);
  where.clear();
  for (int n = 0; n < x.count; ++n)
    for (int c = 0; c < x.channels; ++c)
      for (int h = 0; h < y.height; ++h)
        for (int w = 0; w < y.width; ++w) {
          const double* plane = x.plane(n, c);
          int best = 2 * h * x.width + 2 * w;
          double next = -INFINITY;
          for (int tap = 1; tap < 9; ++tap) {
            const int at = (2 * h + tap / 3) * x.width + 2 * w + tap % 3;
            if (plane[at] > plane[best])
              next = plane[best], best = at;
            else if (plane[at] < plane[best])
              next = std::max(next, plane[at]);
          }
          margin = std::min(margin, plane[best] - next);
          y.plane(n, c)[h * y.width + w] = plane[best];
          where.push_back(best);
        }
  return y;
}

Images pool_backward(const Images& x, const std::vector<int>& where, const Images& dy) {
  Images dx(x.count, x.channels, x.height, x.width);
  size_t window = 0;
  for (int n = 0; n < dy.count; ++n)
    for (int c = 0; c < dy.channels; ++c)
      for (int i = 0; i < dy.height * dy.width; ++i)
        dx.plane(n, c)[where[window++]] += dy.plane(n, c)[i];
  return dx;
}

/// A fully connected layer reads the channels, rows and columns of a sample as they lie.
Images connect(const Images& x, const std::vector<double>& w, const std::vector<double>& b) {
  const size_t in = x.data.size() / static_cast<size_t>(x.count), out = b.size();
  Images y(x.count, static_cast<int>(out), 1, 1);
  for (size_t n = 0; n < static_cast<size_t>(x.count); ++n)
    for (size_t o = 0; o < out; ++o) {
      double sum = b[o];
      for (size_t i = 0; i < in; ++i)
        sum += x.data[n * in + i] * w[o * in + i];
      y.data[n * out + o] = sum;
    }
  return y;
}

Images connect_backward(const Images& x, const std::vector<double>& w, const Images& dy,
                        std::vector<double>& dw, std::vector<double>& db) {
  const size_t count = static_cast<size_t>(x.count), in = x.data.size() / count,
               out = dy.data.size() / count;
  Images dx(x.count, x.channels, x.height, x.width);
  dw.assign(w.size(), 0);
  db.assign(out, 0);
  for (size_t n = 0; n < count; ++n)
    for (size_t o = 0; o < out; ++o) {
      const double d = dy.data[n * out + o];
      db[o] += d;
      for (size_t i = 0; i < in; ++i) {
        dw[o * in + i] += d * x.data[n * in + i];
        dx.data[n * in + i] += d * w[o * in + i];
      }
    }
  return dx;
}

/// Mean of -log softmax(x)[label]; `dx` becomes its gradient.
double cross_entropy(const Images& x, const std::vector<int>& labels, Images& dx) {
  dx = x;
  double loss = 0;
  for (int n = 0; n < x.count; ++n) {
    const double* logits = x.plane(n, 0);
    const double largest = *std::max_element(logits, logits + x.channels);
    double sum = 0;
    for (int c = 0; c < x.channels; ++c)
      sum += std::exp(logits[c] - largest);
    const int label = labels[static_cast<size_t>(n)];
    loss += std::log(sum) + largest - logits[label];
    for (int c = 0; c < x.channels; ++c)
      dx.plane(n, 0)[c] = (std::exp(logits[c] - largest) / sum - (c == label)) / x.count;
  }
  return loss / x.count;
}

/// Layers of the network with what their backward passes need.
class AlexNet {
public:
  explicit AlexNet(const Parameters& parameters) : parameters_(parameters) {}

  AlexNetStep run(const Images& input, const std::vector<int>& labels, bool backward) {
    step_.margin = INFINITY;
    Images x = input;
    for (int i = 0; i < 5; ++i)
      x = forward_block(i, std::move(x));
    for (int i = 0; i < 3; ++i) {
      connected_[i] = x;
      x = connect(x, weight(connected_name(i)), bias(connected_name(i)));
      if (i < 2)
        x = relu(x, step_.margin);
    }
    Images d;
    step_.loss = cross_entropy(x, labels, d);
    if (backward)
      run_backward(std::move(d));
    return std::move(step_);
  }

private:
  static constexpr Conv convs[5] = {{96, 11, 4, 0, 1},
                                    {256, 5, 1, 2, 2},
                                    {384, 3, 1, 1, 1},
                                    {384, 3, 1, 1, 2},
                                    {256, 3, 1, 1, 2}};
  static bool normalised(int i) { return i < 2; }
  static bool pooled(int i) { return i < 2 || i == 4; }
  static std::string conv_name(int i) { return "conv" + std::to_string(i + 1); }
  static std::string connected_name(int i) { return "fc" + std::to_string(i + 6); }
  const std::vector<double>& weight(const std::string& layer) const {
    return parameters_.at(layer + ".weight");
  }
  const std::vector<double>& bias(const std::string& layer) const {
    return parameters_.at(layer + ".bias");
  }

  Images forward_block(int i, Images x) {
    Block& block = blocks_[i];
    block.input = std::move(x);
    block.active = relu(convolve(block.input, convs[i], weight(conv_name(i)), bias(conv_name(i))),
                        step_.margin);
    if (!pooled(i))
      return block.active;
    block.before_pool = normalised(i) ? normalise(block.active) : block.active;
    return pool(block.before_pool, block.where, step_.margin);
  }

  void run_backward(Images d) {
    for (int i = 2; i >= 0; --i) {
      if (i < 2)
        relu_backward(connected_[i + 1], d);
      d = connect_backward(connected_[i], weight(connected_name(i)), d,
                           step_.gradients[connected_name(i) + ".weight"],
                           step_.gradients[connected_name(i) + ".bias"]);
    }
    for (int i = 4; i >= 0; --i) {
      Block& block = blocks_[i];
      if (pooled(i))
        d = pool_backward(block.before_pool, block.where, d);
      if (normalised(i))
        d = normalise_backward(block.active, d);
      relu_backward(block.active, d);
      d = convolve_backward(block.input, convs[i], weight(conv_name(i)), d,
                            step_.gradients[conv_name(i) + ".weight"],
                            step_.gradients[conv_name(i) + ".bias"]);
    }
  }

  struct Block {
    Images input, active, before_pool;
    std::vector<int> where;
  };
  const Parameters& parameters_;
  Block blocks_[5];
  Images connected_[3]; ///< Inputs of the fully connected layers.
  AlexNetStep step_;
};

} // namespace

AlexNetStep alexnet_step(const Images& input, const std::vector<int>& labels,
                         const Parameters& parameters, bool backward) {
  return AlexNet(parameters).run(input, labels, backward);
}

Images alexnet_input(const Images& stored, int size, const std::vector<double>& mean,
                     const uint32_t (&seed)[2], const std::vector<int>& sample_ids,
                     const std::vector<int>& epochs) {
  Images x(stored.count, stored.channels, size, size);
  for (int n = 0; n < stored.count; ++n) {
    const Philox4 bits = philox4x32_10(
        seed[0], seed[1] ^ stream_augment, static_cast<unsigned>(epochs[static_cast<size_t>(n)]),
        static_cast<unsigned>(sample_ids[static_cast<size_t>(n)]), 0, 0);
    const int room = stored.height - size;
    const int top = static_cast<int>(uniform_unit(bits.word[0]) * static_cast<float>(room + 1));
    const int left = static_cast<int>(uniform_unit(bits.word[1]) * static_cast<float>(room + 1));
    const bool mirror = bits.word[2] & 1;
    for (int c = 0; c < x.channels; ++c)
      for (int h = 0; h < size; ++h)
        for (int w = 0; w < size; ++w)
          x.plane(n, c)[h * size + w] =
              stored.plane(n, c)[(top + h) * stored.width + left + (mirror ? size - 1 - w : w)] -
              mean[static_cast<size_t>(c)];
  }
  return x;
}

} // namespace netc::test
