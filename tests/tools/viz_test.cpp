// The pictures of graphs: golden text, counts, names that need escaping, Graphviz as a library.

#include "tools/viz/dot.h"
#include "tools/viz/render.h"

#include "ir/graph.h"
#include "ir/support/error.h"
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <unistd.h>

namespace netc {
namespace {

using test::expect_golden;
using test::read_text;

/// A training step of two layers after fuse-updates, kept as text so that passes may change.
Graph tiny() {
  return parse_graph(read_text(test::source_root() / "tests/tools/viz/tiny.graph"), "tiny.graph");
}

Graph forward_only() {
  return parse_graph(R"(graph half {
    %images = feed() {dtype = "f32", shape = [2, 3, 8, 8]} : f32[2,3,8,8]
    %w = parameter() {shape = [4, 3, 3, 3], trainable = true} : f32[4,3,3,3]
    %conv = conv2d(%images, %w) {
      dilation = [1, 1], groups = 1, pad = [1, 1, 1, 1], stride = [2, 1]} : f32[2,4,4,8]
    %act = relu(%conv) : f32[2,4,4,8]
    output features = %act
  })");
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

class Viz : public testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("netc-viz-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string render(const std::string& dot, const std::string& format) {
    render_dot(dot, format, folder_ / "picture");
    return read_text(folder_ / "picture");
  }

  std::filesystem::path folder_;
};

TEST_F(Viz, DrawsATrainingStep) {
  expect_golden("tests/tools/viz/tiny.dot",
                to_dot(tiny(), {.stage = "after fuse-updates", .show_parameters = false}));
}

TEST_F(Viz, DrawsTheSameTwice) {
  EXPECT_EQ(to_dot(tiny()), to_dot(tiny().clone()));
}

TEST_F(Viz, CountsParametersAndMultiplyAdds) {
  std::string dot = to_dot(forward_only());
  // 4 x 4 x 8 results of 3 x 3 x 3 products each, an image.
  EXPECT_NE(dot.find("108 parameters  ·  3.5 k multiply-adds (MACs) an image  ·  batch 2"),
            dot.npos)
      << dot;
  EXPECT_NE(dot.find("kernel 3×3 · stride 2×1 · pad 1"), dot.npos) << dot;
  EXPECT_NE(dot.find("2 × 4 × 4 × 8"), dot.npos);
  EXPECT_NE(dot.find("▸ output features"), dot.npos);
  EXPECT_EQ(dot.find("cluster_column"), dot.npos) << "columns without a backward part";
  EXPECT_EQ(dot.find("backward"), dot.npos) << "the legend tells what does not occur";
}

TEST_F(Viz, ShowsParametersOnDemand) {
  EXPECT_EQ(to_dot(forward_only()).find("<B>w</B>"), std::string::npos);
  EXPECT_NE(to_dot(forward_only(), {.stage = {}, .show_parameters = true}).find("<B>w</B>"),
            std::string::npos);
}

TEST_F(Viz, BoxesFusedNodes) {
  std::string dot = to_dot(tiny());
  EXPECT_EQ(count(dot, "style=\"rounded,filled,dashed\""), 4u);
  EXPECT_EQ(count(dot, "<B>contraction</B>"), 2u);
  EXPECT_EQ(count(dot, "<B>window</B>"), 1u);
  EXPECT_EQ(count(dot, "<B>update</B>"), 1u);
  EXPECT_EQ(count(dot, "<B>conv1.weight.update</B>"), 1u);
  EXPECT_EQ(dot.find("argument"), dot.npos) << "arguments stand for what they are given";
}

TEST_F(Viz, WritesDotAsItIs) {
  EXPECT_EQ(render("digraph g {}\n", "dot"), "digraph g {}\n");
}

TEST_F(Viz, RefusesOtherFormats) {
  try {
    render("digraph g {}", "jpeg");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("cannot draw the format `jpeg`"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "picture"));
}

TEST_F(Viz, SaysWhatToInstall) {
  if (graphviz_available())
    GTEST_SKIP() << "graphviz is there";
  try {
    render("digraph g {}", "svg");
    FAIL();
  } catch (const RuntimeError& error) {
    EXPECT_NE(error.hint().find("libgraphviz-dev"), std::string::npos);
    EXPECT_NE(error.hint().find(".dot"), std::string::npos);
  }
}

TEST_F(Viz, RendersSvgAndPng) {
  if (!graphviz_available())
    GTEST_SKIP() << "built without graphviz";
  std::string dot = to_dot(tiny());
  std::string svg = render(dot, "svg");
  // A label that Graphviz refuses would leave the bare number of the node.
  for (std::string name : {"conv1", "relu1", "fc2.flatten", "drop2.grad", "loss", "labels",
                           "fc2.weight.update", "conv1.add_bias.bias_grad"})
    EXPECT_NE(svg.find(">" + name + "</text>"), svg.npos) << name;
  EXPECT_NE(svg.find("xlink:title=\"tiny.yaml:4:5: %conv1 = conv2d("), svg.npos)
      << "tooltips name the place";
  EXPECT_EQ(render(dot, "svg"), svg) << "not the same bytes twice";
  EXPECT_EQ(render(dot, "png").substr(0, 4), "\x89PNG");
}

TEST_F(Viz, SurvivesOddNames) {
  Graph graph = parse_graph(R"(graph "<a> & \"b\\" {
    %odd = feed() {shape = [2, 2]} : f32[2,2]
    %"]]>" = relu(%odd) : f32[2,2]
  })");
  graph.nodes[0]->name = "x<y>&\"z\\N\xc3\xa9\xff\x01";
  std::string dot = to_dot(graph);
  EXPECT_NE(dot.find("<B>x&lt;y&gt;&amp;&quot;z\\\\N\xc3\xa9?\?</B>"), dot.npos) << dot;
  EXPECT_NE(dot.find("digraph \"<a> & \\\"b\\\\\""), dot.npos) << dot;
  if (graphviz_available()) {
    std::string svg = render(dot, "svg");
    EXPECT_NE(svg.find(">x&lt;y&gt;&amp;&quot;z\\N\xc3\xa9?\?"), svg.npos) << svg;
  }
}

TEST_F(Viz, ReportsWhatGraphvizCannotRead) {
  if (!graphviz_available())
    GTEST_SKIP() << "built without graphviz";
  try {
    render("digraph g { a -> ", "svg");
    FAIL();
  } catch (const RuntimeError& error) {
    EXPECT_NE(std::string(error.what()).find("graphviz cannot read the picture"),
              std::string::npos);
  }
}

} // namespace
} // namespace netc
