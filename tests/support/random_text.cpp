#include "tests/support/random_text.h"

#include "ir/graph.h"

#include <gtest/gtest.h>

namespace netc::test {

namespace {

/// More than this many elements of a sample make the tests slow.
constexpr int64_t most_elements = 512;

class TextBuilder {
public:
  TextBuilder(Random& random, bool on_blocks) : random_(random), on_blocks_(on_blocks) {}

  std::string build() {
    begin();
    while (!append(convolution("data", channels())))
      ;
    const int length = 2 + below(4);
    for (int i = 0; i < length;)
      i += append(layer());
    for (int i = 0, count = 1 + below(2); i < count; ++i)
      classifier(i + 1 == count);
    return text_ + fmt::format("  - {{name: loss, type: softmax_cross_entropy}}\n"
                               "train: {{batch: {}, optimizer: {{rate: 0.01, momentum: 0.9, decay: "
                               "5e-4}}}}\n",
                               on_blocks_ ? 8 : one_of({2, 3, 5, 8}));
  }

private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<uint64_t>(limit)); }
  bool now_and_then() { return below(3) == 0; }
  int64_t one_of(std::initializer_list<int64_t> list) {
    return list.begin()[below(static_cast<int>(list.size()))];
  }
  int64_t channels() { return on_blocks_ ? one_of({8, 16}) : one_of({2, 3, 4, 6, 7, 8}); }

  void begin() {
    const int64_t height = 5 + below(5), width = 4 + below(5);
    const bool larger = now_and_then();
    text_ = fmt::format(
        "name: random\ninput: {{channels: {}, height: {}, width: {}, scale: 0.002{}{}}}\nlayers:\n",
        on_blocks_ ? 8 : 1 + below(3), height, width,
        larger ? fmt::format(", stored: {}, crop: random", std::max(height, width) + 2) : "",
        now_and_then() ? ", flip: true" : "");
  }

  /// Whether the network with more layers is right, and small enough; only then they stay.
  bool append(const std::string& lines) {
    Diagnostics diagnostics;
    std::optional<Network> network = parse_network(text_ + lines, "random.yaml", diagnostics);
    if (!network || diagnostics.has_errors())
      return false;
    Graph graph = build_forward(*network, 1, diagnostics);
    if (diagnostics.has_errors() || graph.outputs.at(0).value->type.elements() > most_elements)
      return false;
    text_ += lines;
    last_ = network->layers.back().name;
    channels_ = graph.outputs[0].value->type.shape.at(1);
    return true;
  }

  std::string name(const char* kind) { return fmt::format("{}{}", kind, ++count_); }

  static std::string line(const std::string& name, const std::string& type,
                          const std::string& keys = "") {
    return fmt::format("  - {{name: {}, type: {}{}}}\n", name, type, keys);
  }

  std::string window(bool small) {
    const int64_t kernel = small ? one_of({1, 3}) : one_of({1, 2, 3, 4});
    if (small)
      return fmt::format(", kernel: {}, pad: {}", kernel, kernel / 2);
    return fmt::format(", kernel: [{}, {}], stride: [{}, {}], pad: [{}, {}, {}, {}]", kernel,
                       one_of({1, 2, 3}), one_of({1, 1, 2, 3}), one_of({1, 2}), below(2), below(2),
                       below(2), below(2));
  }

  std::string convolution(const std::string& from, int64_t filters, bool same_pixels = false) {
    std::string keys = fmt::format(", from: {}, filters: {}{}", from, filters, window(same_pixels));
    if (!same_pixels && now_and_then())
      keys += ", dilation: [2, 1]";
    if (now_and_then())
      keys += fmt::format(", groups: {}", one_of({2, 2, 3, 4}));
    if (now_and_then())
      keys += ", bias: false";
    return line(name("conv"), "conv2d", keys);
  }

  /// Two ways from one layer.
  std::string branch() {
    const std::string from = last_;
    const bool adds = now_and_then();
    const int64_t filters = adds && now_and_then() ? channels_ : channels();
    std::string lines = convolution(from, filters, true);
    const std::string first = fmt::format("conv{}", count_);
    std::string second = from;
    if (below(2)) {
      lines += convolution(from, adds ? filters : channels(), true);
      second = fmt::format("conv{}", count_);
    }
    return lines + line(name("join"), adds ? "add" : "concat",
                        fmt::format(", from: [{}, {}]", first, second));
  }

  std::string dropout() {
    return line(name("drop"), "dropout",
                fmt::format(", rate: {}, mode: {}", below(2) ? 0.5 : 0.25,
                            below(2) ? "classic" : "inverted"));
  }

  std::string layer() {
    switch (below(10)) {
    case 0:
      return line(name("map"), std::array{"relu", "tanh", "sigmoid"}[random_() % 3]);
    case 1:
    case 2:
      return line(name("norm"), "lrn",
                  fmt::format(", n: {}, k: 2, alpha: 0.1, beta: 0.75, alpha_over_n: false{}",
                              one_of({1, 3, 5}),
                              below(2) ? fmt::format(", groups: {}", one_of({2, 2, 4})) : ""));
    case 3:
    case 4:
      return line(name("pool"), now_and_then() ? "avg_pool2d" : "max_pool2d",
                  fmt::format("{}, rounding: {}", window(false), below(2) ? "ceil" : "floor"));
    case 5:
      return dropout();
    case 6:
    case 7:
      return branch();
    default:
      return convolution(last_, channels()) + (below(2) ? line(name("map"), "relu") : "");
    }
  }

  void classifier(bool last) {
    const int64_t features = on_blocks_ ? one_of({16, 24}) : one_of({5, 7, 10});
    append(line(name("fc"), "linear",
                fmt::format(", features: {}{}", features, now_and_then() ? ", bias: false" : "")));
    if (!last)
      append(below(2) ? line(name("map"), "relu") : dropout());
  }

  Random& random_;
  const bool on_blocks_;
  std::string text_, last_;
  int64_t channels_ = 0;
  int count_ = 0;
};

} // namespace

Network network_of(const std::string& text, const std::string& name) {
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(text, name, diagnostics);
  EXPECT_EQ(diagnostics.render(), "") << text;
  return std::move(*network);
}

std::string random_network_text(Random& random, bool on_blocks) {
  return TextBuilder(random, on_blocks).build();
}

} // namespace netc::test
