// The executor of partitioned graphs, which tests of the partitioner stand on.

#include "tests/support/draw.h"
#include "tests/support/partitioned.h"

#include <gmock/gmock.h>

#include <fmt/format.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// A step of one device: the gradient of a layer, and its update.
const char* const whole_text = R"(graph step {
  %x = feed() {dtype = "f32", shape = [6, 4]} : f32[6,4]
  %dy = feed() {dtype = "f32", shape = [6, 3]} : f32[6,3]
  %rate = feed() {dtype = "f32", shape = [1]} : f32[1]
  %w = parameter() {decay = 1.0, dtype = "f32", fan_in = 1, fan_out = 1, init = "constant", rate = 1.0, scale = 0.0, shape = [3, 4], trainable = true} : f32[3,4]
  %v = parameter() {decay = 1.0, dtype = "f32", fan_in = 1, fan_out = 1, init = "constant", rate = 1.0, scale = 0.0, shape = [3, 4], trainable = true} : f32[3,4]
  %y = linear(%x, %w) {precision = "default"} : f32[6,3]
  %g = linear_weight_gradient(%x, %dy) {precision = "default"} : f32[3,4]
  %next, %next.momentum = sgd_update(%w, %g, %v, %rate) {decay = 0.01, momentum = 0.9, rate = 1.0} : f32[3,4], f32[3,4]
  output y = %y
  store %w = %next
  store %v = %next.momentum
}
)";

/// The same of device `device` of two, which has 4 or 2 of the samples and 2 or 1 rows of state.
std::string part_text(int device) {
  const int samples = device == 0 ? 4 : 2, first = device == 0 ? 0 : 4;
  const int rows = device == 0 ? 2 : 1, row = device == 0 ? 0 : 2;
  const std::string state =
      fmt::format("parameter() {{at = [{}, 0], decay = 1.0, dtype = \"f32\", fan_in = 1, fan_out = "
                  "1, init = \"constant\", rate = 1.0, scale = 0.0, shape = [{}, 4], trainable = "
                  "true, whole = [3, 4]}} : f32[{},4]",
                  row, rows, rows);
  const std::string attrs = fmt::format("device = {}, dtype = \"f32\", shape = [3, 4]", device);
  return fmt::format(R"(graph device{0} {{
  %x = feed() {{at = [{2}, 0], dtype = "f32", shape = [{1}, 4], whole = [6, 4]}} : f32[{1},4]
  %dy = feed() {{at = [{2}, 0], dtype = "f32", shape = [{1}, 3], whole = [6, 3]}} : f32[{1},3]
  %rate = feed() {{dtype = "f32", shape = [1]}} : f32[1]
  %w = {3}
  %v = {3}
  %all = exchange(%w) {{{4}, from = "[0:2, 0:4] | [2:3, 0:4]", to = "[0:3, 0:4] | [0:3, 0:4]"}} : f32[3,4]
  %y = linear(%x, %all) {{precision = "default"}} : f32[{1},3]
  %part = linear_weight_gradient(%x, %dy) {{precision = "default"}} : f32[3,4]
  %g = exchange(%part) {{{4}, from = "sum [0:3, 0:4] | [0:3, 0:4]", to = "[0:2, 0:4] | [2:3, 0:4]"}} : f32[{5},4]
  %next, %next.momentum = sgd_update(%w, %g, %v, %rate) {{decay = 0.01, momentum = 0.9, rate = 1.0}} : f32[{5},4], f32[{5},4]
  output y = %y of [6, 3] at [{2}, 0]
  store %w = %next
  store %v = %next.momentum
}}
)",
                     device, samples, first, state, attrs, rows);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

std::vector<Graph> graphs(const std::vector<std::string>& texts) {
  std::vector<Graph> list;
  for (const std::string& text : texts) {
    list.push_back(parse_graph(text));
    verify(list.back());
  }
  return list;
}

Tensors draw_inputs(const Graph& graph) {
  Random random(5);
  Tensors inputs;
  for (const auto& node : graph.nodes)
    if (node->operands.empty())
      inputs[node->name] = draw(node->result()->type, uniform(-1, 1), random);
  return inputs;
}

TEST(Partitioned, GivesWhatOneDeviceGives) {
  const Graph whole = parse_graph(whole_text);
  const Tensors inputs = draw_inputs(whole), want = interpret_outputs(whole, inputs);
  const Tensors got = interpret_partitioned(graphs({part_text(0), part_text(1)}), inputs);
  ASSERT_EQ(got.size(), 3u);
  for (const auto& [name, tensor] : want)
    EXPECT_LT(relative_error(got.at(name), tensor), 1e-14) << name;
}

/// What is said of graphs that do not fit together.
std::string error_of(const std::vector<std::string>& texts) {
  try {
    interpret_partitioned(graphs(texts), draw_inputs(parse_graph(whole_text)));
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing";
}

TEST(Partitioned, NamesTheExchangeThatNeverEnds) {
  const std::string other = replaced(part_text(1), "%all = exchange", "%every = exchange");
  EXPECT_THAT(error_of({part_text(0), replaced(other, "(%x, %all)", "(%x, %every)")}),
              HasSubstr("device 1 waits in exchange `every`, others in `all`"));
  EXPECT_THAT(error_of({part_text(0), "graph device1 {\n}\n"}),
              HasSubstr("device 1 is done, others wait in exchange `all`"));
  EXPECT_THAT(error_of({part_text(0)}), HasSubstr("exchange `all` is not of 1 devices"));
}

TEST(Partitioned, NamesWhatIsMissingOrDiffers) {
  const std::string second = part_text(1);
  EXPECT_THAT(
      error_of({part_text(0), replaced(second, "  output y = %y of [6, 3] at [4, 0]\n", "")}),
      HasSubstr("nobody has 6 elements of [0:6, 0:3] of `y`"));
  EXPECT_THAT(
      error_of({part_text(0), replaced(second, "of [6, 3] at [4, 0]", "of [6, 3] at [3, 0]")}),
      HasSubstr("nobody has 3 elements"));
  const std::string all_of_it = replaced(second, "output y = %y of [6, 3] at [4, 0]",
                                         "output y = %y of [6, 3] at [4, 0]\n  output g = %part");
  EXPECT_THAT(
      error_of({replaced(part_text(0), "  output y", "  output g = %part\n  output y"), all_of_it}),
      HasSubstr("devices have 12 different elements of `g`"));
}

} // namespace
} // namespace netc::test
