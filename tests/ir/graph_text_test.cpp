// The text form of graphs.

#include "ir/graph.h"
#include "ir/op.h"
#include "tests/ir/text_fuzz.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace netc {
namespace {

const char* const example = R"(graph alexnet from "alexnet.yaml" {
  %images = feed() {dtype = "u8", shape = [64, 3, 256, 256]} : u8[64,3,256,256] nhwc @3:1
  %conv1.weight = parameter() {scale = 0.01, trainable = true} : f32[96,3,11,11] @7:5
  %conv1 = conv2d(%images, %conv1.weight) {dilation = [1, 1], groups = 1} : f32[64,96,55,55] nhwc @7:5
  %pool1, %pool1.argmax = max_pool2d(%conv1) {rounding = "floor"} : f32[64,96,27,27] nhwc, u8[64,96,27,27] nhwc @9:5
  %f, %f.result1 = fused(%pool1, %pool1) {kind = "window"} : f32[64,96,27,27], f32[64,96,27,27] as "norm1+relu1" @"common/blocks.yaml":2:3 "body" {
    %x = argument() {index = 0} : f32[64,96,27,27]
    %y = relu(%x) : f32[64,96,27,27] @8:1
    output result0 = %y
    output result1 = %x
  }
  %"odd name" = relu(%f) {} : f32[64,96,27,27]
  output loss = %"odd name"
  output part = %f of [128, 96, 27, 27] at [64, 0, 0, 0]
  store %conv1.weight = %conv1.weight
}
)";

std::string canonical() {
  std::string text = example;
  return text.erase(text.find(" {} "), 3); // An empty list of attributes is not printed.
}

std::string trip(const std::string& text) {
  return print(parse_graph(text));
}

TEST(GraphText, RoundTrips) {
  EXPECT_EQ(trip(example), canonical());
  EXPECT_EQ(trip(canonical()), canonical());
}

TEST(GraphText, ReadsEverything) {
  Graph graph = parse_graph(example);
  EXPECT_EQ(graph.name, "alexnet");
  ASSERT_EQ(graph.nodes.size(), 6u);
  const Node& conv = *graph.nodes[2];
  EXPECT_TRUE(conv.is("conv2d"));
  EXPECT_EQ(conv.op, find_op("conv2d"));
  EXPECT_EQ(conv.operands[0], graph.find("images"));
  EXPECT_EQ(conv.attrs.integers("dilation"), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(conv.attrs.integer("groups"), 1);
  EXPECT_EQ(conv.result()->layout, Layout::nhwc);
  EXPECT_EQ(conv.result()->type.str(), "f32[64,96,55,55]");
  EXPECT_EQ(conv.loc.str(), "alexnet.yaml:7:5");
  EXPECT_EQ(graph.nodes[1]->attrs.real("scale"), 0.01);
  EXPECT_TRUE(graph.nodes[1]->attrs.flag("trainable"));
  const Node& pool = *graph.nodes[3];
  ASSERT_EQ(pool.results.size(), 2u);
  EXPECT_EQ(pool.result(1)->name, "pool1.argmax");
  EXPECT_EQ(pool.result(1)->node, &pool);
  EXPECT_EQ(pool.result(1)->index, 1);
  const Node& fused = *graph.nodes[4];
  EXPECT_EQ(fused.name, "norm1+relu1");
  EXPECT_EQ(fused.loc.str(), "common/blocks.yaml:2:3");
  ASSERT_TRUE(fused.body);
  EXPECT_EQ(fused.body->name, "body");
  EXPECT_EQ(fused.body->outputs[1].value, fused.body->find("x"));
  EXPECT_EQ(graph.outputs[0].name, "loss");
  EXPECT_EQ(graph.outputs[0].value, graph.find("odd name"));
  EXPECT_EQ(graph.stores[0].parameter, graph.find("conv1.weight"));
  EXPECT_EQ(graph.nodes[1]->loc.file, graph.nodes[2]->loc.file) << "one file, one SourceFile";
}

TEST(GraphText, PrintsOneNode) {
  Graph graph = parse_graph(example);
  EXPECT_EQ(print(*graph.nodes[2]),
            "%conv1 = conv2d(%images, %conv1.weight) {dilation = [1, 1], groups = 1} : "
            "f32[64,96,55,55] nhwc @7:5");
  EXPECT_EQ(print(*graph.nodes[4]).find("argument"), std::string::npos) << "without its body";
}

TEST(GraphText, SaysHowMemoryHoldsAValue) {
  const std::string text = "graph g {\n"
                           "  %x = feed() {dtype = \"f32\", shape = [1, 2, 3, 4]} : f32[1,2,3,4]\n"
                           "  %y = relu(%x) : f32[1,2,3,4] nhwc in bf16\n"
                           "  %z = flatten(%y) : f32[1,24] in tf32 as \"last\"\n"
                           "}\n";
  Graph graph = parse_graph(text);
  EXPECT_EQ(graph.find("y")->storage, DType::bf16);
  EXPECT_EQ(graph.find("y")->type.dtype, DType::f32);
  EXPECT_EQ(graph.find("y")->stored().bytes(), 24 * 2);
  EXPECT_EQ(graph.find("z")->stored().bytes(), 24 * 4);
  EXPECT_EQ(graph.find("x")->storage, std::nullopt);
  EXPECT_EQ(print(graph), text);
  EXPECT_EQ(print(graph.clone()), text);
  EXPECT_NO_THROW(verify(graph));
  graph.find("x")->storage = DType::u8;
  EXPECT_THROW(verify(graph), InternalError);
}

TEST(GraphText, KeepsNamesFreeAfterParsing) {
  Graph graph = parse_graph("graph g {\n"
                            "  %a, %b = max_pool2d() : f32[1], u8[1]\n"
                            "  %a.argmax = relu(%a) : f32[1]\n"
                            "}\n");
  EXPECT_EQ(graph.nodes[1]->name, "a.argmax");
  EXPECT_EQ(graph.unique_name("a"), "a.2");
  EXPECT_EQ(graph.unique_name("b"), "b.2");
  EXPECT_EQ(graph.unique_name("c"), "c");
}

TEST(GraphText, KeepsTheKindsOfAttributes) {
  Graph graph("g");
  Attributes attrs{{"a", Attribute{1.0}},
                   {"b", Attribute{int64_t{1}}},
                   {"c", Attribute{true}},
                   {"d", Attribute{std::string("say \"hi\"\n\\ \x01")}},
                   {"e", Attribute{std::vector<int64_t>{}}},
                   {"f", Attribute{1e30}},
                   {"g", Attribute{-INFINITY}},
                   {"h", Attribute{-0.0}},
                   {"i", Attribute{INT64_MIN}},
                   {"j", Attribute{std::vector<int64_t>{-1, INT64_MAX}}},
                   {"k", Attribute{std::string("true")}},
                   {"l", Attribute{0.1}}};
  graph.add(*find_op("relu"), "r", {}, attrs, {{DType::f32, {}}}, {});
  Graph parsed = parse_graph(print(graph));
  EXPECT_EQ(parsed.nodes[0]->attrs, attrs);
  EXPECT_EQ(print(parsed), print(graph));
}

TEST(GraphText, BlamesAPlace) {
  auto says = [](const std::string& line, const std::string& part) {
    std::string message = message_of<UserError>(
        [&] { parse_graph("graph g {\n  %x = feed() : f32[2]\n  " + line + "\n}\n", "g.txt"); });
    EXPECT_NE(message.find(part), message.npos) << message;
  };
  says("%y = rellu(%x) : f32[2]",
       "g.txt:3:8: error: unknown operator `rellu`, did you mean `relu`?\n    %y = rellu(%x)");
  says("%y = relu(%xx) : f32[2]",
       "g.txt:3:13: error: no value `%xx` before this, did you mean `x`?");
  says("%y = relu(%y) : f32[2]", "no value `%y` before this");
  says("%x = relu(%x) : f32[2]", "g.txt:3:3: error: a second value named `%x`");
  says("%y = relu(%x) : f32[2] in u8",
       "g.txt:3:29: error: memory rounds to tf32 or bf16, not to u8");
  says("%y = relu(%x)", "g.txt:4:1: error: expected `:`, got `}`");
  says("%y = relu(%x) : f16[2]", "g.txt:3:19: error: expected a type, got `f16`");
  says("%y = relu(%x) : f32[-2]", "the extent -2 is negative");
  says("%y = relu(%x) {a = 1, a = 2} : f32[2]", "a second attribute `a`");
  says("%y = relu(%x) {a = one} : f32[2]", "expected the value of an attribute, got `one`");
  says("%y, %z = relu(%x) : f32[2]", "expected `,`");
  says("%y = relu(%x) : f32[2] @1:2", "a place without a file");
  says("output y = %z", "no value `%z` before this");
  says("output y = %x of [4] at 2", "g.txt:3:27: error: expected `[`, got `2`");
  says("output y = %x of [4] at [2, 0]", "g.txt:3:20: error: expected as many offsets as extents");
  says("%y = relu(%x) : f32[2] \xff", "unexpected byte 0xff");
}

TEST(GraphText, SurvivesDamage) {
  fuzz(example, 5000, trip);
}

TEST(GraphText, SurvivesDeepNesting) {
  std::string text = "graph g {";
  for (int i = 0; i < 10000; ++i)
    text += "%a = fused() : f32[] {";
  std::string message = message_of<UserError>([&] { parse_graph(text); });
  EXPECT_NE(message.find("nested more than"), message.npos);
}

/// Makes graphs that use all the text can say; they need not make sense to the operators.
class RandomGraph {
public:
  explicit RandomGraph(unsigned seed) : random_(seed) {}

  void fill(Graph& graph, int depth) {
    std::vector<Value*> values;
    for (size_t count = 1 + pick(12); count > 0; --count) {
      const OpDef& op = *all_ops()[pick(all_ops().size())];
      std::vector<Value*> operands;
      for (size_t n = values.empty() ? 0 : pick(4); n > 0; --n)
        operands.push_back(values[pick(values.size())]);
      std::vector<TensorType> types;
      for (size_t n = pick(4); n > 0; --n)
        types.push_back(type());
      Node* node = graph.add(op, name(), operands, attributes(op), types, loc());
      if (pick(5) == 0)
        node->name = name();
      for (const auto& result : node->results) {
        result->layout = static_cast<Layout>(pick(2));
        values.push_back(result.get());
      }
      if (depth > 0 && pick(4) == 0) {
        node->body = std::make_unique<Graph>(pick(2) ? name() : "");
        fill(*node->body, depth - 1);
      }
    }
    for (size_t n = values.empty() ? 0 : pick(4); n > 0; --n)
      graph.outputs.push_back({name(), values[pick(values.size())]});
    for (size_t n = values.empty() ? 0 : pick(3); n > 0; --n)
      graph.stores.push_back({values[pick(values.size())], values[pick(values.size())]});
  }

private:
  size_t pick(size_t n) { return random_() % n; }

  std::string name() {
    static const std::string characters = "abcz019_.-/";
    static const std::string odd = "% \"\\\n\t{}[](),:=@+\x7f\xc3\xa9";
    std::string text;
    for (size_t n = 1 + pick(6); n > 0; --n)
      text += pick(20) ? characters[pick(characters.size())] : odd[pick(odd.size())];
    return text;
  }

  Attribute attribute() {
    switch (pick(5)) {
    case 0:
      return pick(2) == 0;
    case 1:
      return static_cast<int64_t>(random_()) - (int64_t{1} << 31);
    case 2:
      return std::ldexp(static_cast<double>(random_()), static_cast<int>(pick(200)) - 100);
    case 3:
      return name();
    default:
      return std::vector<int64_t>(pick(4), static_cast<int64_t>(random_()) - 1000);
    }
  }

  Attributes attributes(const OpDef& op) {
    Attributes attrs;
    for (size_t n = pick(4); n > 0; --n)
      attrs.set(name(), attribute());
    for (const AttrDef& def : op.attrs)
      if (def.implied)
        attrs.set(def.name, pick(2) ? *def.fallback : attribute());
    return attrs;
  }

  TensorType type() {
    TensorType type{static_cast<DType>(pick(4)), {}};
    for (size_t rank = pick(5); rank > 0; --rank)
      type.shape.push_back(static_cast<int64_t>(pick(500)));
    return type;
  }

  Loc loc() {
    if (pick(3) == 0)
      return {};
    return {files_[pick(2)], static_cast<int>(pick(100)), static_cast<int>(pick(100))};
  }

  std::mt19937 random_;
  std::shared_ptr<const SourceFile> files_[2] = {
      std::make_shared<SourceFile>(SourceFile{"net.yaml", "text"}),
      std::make_shared<SourceFile>(SourceFile{"a \"b\".yaml", "text"})};
};

void expect_same(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.name, b.name);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const Node &x = *a.nodes[i], &y = *b.nodes[i];
    ASSERT_EQ(x.op, y.op);
    ASSERT_EQ(x.name, y.name);
    ASSERT_EQ(x.attrs, y.attrs);
    ASSERT_EQ(x.loc.str(), y.loc.str());
    ASSERT_EQ(x.operands.size(), y.operands.size());
    for (size_t n = 0; n < x.operands.size(); ++n)
      ASSERT_EQ(x.operands[n]->name, y.operands[n]->name);
    ASSERT_EQ(x.results.size(), y.results.size());
    for (size_t n = 0; n < x.results.size(); ++n) {
      ASSERT_EQ(x.results[n]->name, y.results[n]->name);
      ASSERT_EQ(x.results[n]->type, y.results[n]->type);
      ASSERT_EQ(x.results[n]->layout, y.results[n]->layout);
      ASSERT_EQ(y.results[n]->node, &y);
    }
    ASSERT_EQ(x.body == nullptr, y.body == nullptr);
    if (x.body)
      expect_same(*x.body, *y.body);
  }
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    ASSERT_EQ(a.outputs[i].name, b.outputs[i].name);
    ASSERT_EQ(a.outputs[i].value->name, b.outputs[i].value->name);
  }
  ASSERT_EQ(a.stores.size(), b.stores.size());
  for (size_t i = 0; i < a.stores.size(); ++i) {
    ASSERT_EQ(a.stores[i].parameter->name, b.stores[i].parameter->name);
    ASSERT_EQ(a.stores[i].value->name, b.stores[i].value->name);
  }
}

TEST(GraphText, RoundTripsRandomGraphs) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    Graph graph("random graph");
    RandomGraph(seed).fill(graph, 2);
    std::string printed = print(graph);
    Graph parsed = parse_graph(printed);
    ASSERT_EQ(print(parsed), printed) << "seed " << seed;
    expect_same(graph, parsed);
    ASSERT_EQ(print(parsed.clone()), printed) << "seed " << seed;
  }
}

} // namespace
} // namespace netc
