// The bundled models parse, build and have the sizes their files state.

#include "frontend/network.h"
#include "ir/op.h"
#include "tests/support/golden.h"

namespace netc {
namespace {

Graph build_model(const std::string& name, int64_t batch) {
  Diagnostics diagnostics;
  auto network = parse_network(test::read_text(test::source_root() / "models" / (name + ".yaml")),
                               name + ".yaml", diagnostics);
  if (!network) {
    ADD_FAILURE() << diagnostics.render();
    return Graph();
  }
  EXPECT_EQ(network->recipe.name, name);
  Graph graph = build_forward(*network, batch, diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  verify(graph);
  EXPECT_EQ(print(parse_graph(print(graph))), print(graph));
  return graph;
}

int64_t trainable_elements(const Graph& graph) {
  int64_t count = 0;
  for (const auto& node : graph.nodes)
    if (node->is("parameter") && node->attrs.flag("trainable"))
      count += node->result()->type.elements();
  return count;
}

int64_t multiply_adds(const Graph& graph) {
  int64_t count = 0;
  for (const auto& node : graph.nodes)
    if (node->op->is_contraction())
      count += node->op->macs(*node);
  return count;
}

struct Size {
  const char* model;
  int64_t parameters;
  int64_t macs_per_image;
  int64_t classes;
};

TEST(Models, HaveTheirStatedSizes) {
  for (const Size& size :
       {Size{"alexnet", 60'965'224, 724'406'816, 1000},
        Size{"alexnet-half", 59'798'312, 391'514'384, 1000}, Size{"lenet", 431'080, 2'293'000, 10},
        Size{"cifar10-quick", 145'578, 12'354'176, 10},
        Size{"alexnet-small", 216'010, 12'682'496, 10}}) {
    SCOPED_TRACE(size.model);
    Graph graph = build_model(size.model, 2);
    EXPECT_EQ(trainable_elements(graph), size.parameters);
    EXPECT_EQ(multiply_adds(graph), 2 * size.macs_per_image);
    EXPECT_EQ(class_count(graph), size.classes);
  }
}

TEST(Models, AllBuild) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_root() / "models"))
    if (entry.path().extension() == ".yaml") {
      build_model(entry.path().stem().string(), 2);
      ++count;
    }
  EXPECT_GE(count, 4);
}

} // namespace
} // namespace netc
