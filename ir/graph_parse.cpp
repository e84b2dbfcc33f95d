// Reads the text form of graphs, see ir/graph_text.cpp. Builds what is written, without inference.

#include "ir/graph.h"
#include "ir/op.h"
#include "ir/text_parts.h"

#include <algorithm>

namespace netc {

namespace {

class Parser {
public:
  Parser(const std::string& text, const std::string& file_name)
      : reader_(text, file_name, graph_punctuation) {}

  Graph graph() {
    reader_.expect("graph");
    Graph graph(reader_.name("the name of the graph"));
    if (reader_.accept("from"))
      locs_.set_file(reader_.text("the name of a file"));
    body(graph);
    reader_.expect_end();
    return graph;
  }

private:
  using Values = std::unordered_map<std::string, Value*>;

  void body(Graph& graph) {
    TextReader::Nesting nesting(reader_);
    reader_.expect("{");
    Values values;
    while (!reader_.accept("}")) {
      if (reader_.accept("output")) {
        std::string name = reader_.name("the name of an output");
        reader_.expect("=");
        graph.outputs.push_back({name, operand(values)});
        if (reader_.accept("of"))
          part(graph.outputs.back());
      } else if (reader_.accept("store")) {
        Value* parameter = operand(values);
        reader_.expect("=");
        graph.stores.push_back({parameter, operand(values)});
      } else {
        node(graph, values);
      }
    }
  }

  /// Reads `[64, 10] at [32, 0]`.
  void part(Graph::Output& output) {
    Token at = reader_.expect("[");
    output.whole = read_integers(reader_);
    reader_.expect("at");
    reader_.expect("[");
    output.at = read_integers(reader_);
    if (output.whole.empty() || output.at.size() != output.whole.size())
      reader_.fail(at, "expected as many offsets as extents, and some");
  }

  struct ResultText {
    Token at;
    std::string name;
    TensorType type;
    Layout layout = Layout::row_major;
    std::optional<DType> storage{};
  };

  void node(Graph& graph, Values& values) {
    std::vector<ResultText> results;
    while (reader_.peek().is("%")) {
      Token at = reader_.next();
      results.push_back({at, reader_.name("the name of a value"), {}});
      if (!reader_.accept(","))
        break;
    }
    if (!results.empty())
      reader_.expect("=");
    const OpDef& op = operation();
    std::vector<Value*> operands = arguments(values);
    Attributes attrs;
    if (reader_.accept("{"))
      attrs = attributes();
    for (const AttrDef& def : op.attrs)
      if (def.implied && !attrs.has(def.name))
        attrs.set(def.name, *def.fallback);
    for (size_t i = 0; i < results.size(); ++i) {
      reader_.expect(i ? "," : ":");
      results[i].type = read_type(reader_);
      results[i].layout = read_layout(reader_);
      results[i].storage = read_storage(reader_);
    }
    std::string name = results.empty() ? "" : results[0].name;
    if (reader_.accept("as"))
      name = reader_.text("the name of the node");
    Loc loc = locs_.read(reader_);
    Node* made = add(graph, values, op, results, std::move(operands));
    made->attrs = std::move(attrs);
    made->name = std::move(name);
    made->loc = std::move(loc);
    nested_body(*made);
  }

  /// Adds the node and gives its results exactly the names of the text.
  Node* add(Graph& graph, Values& values, const OpDef& op, const std::vector<ResultText>& results,
            std::vector<Value*> operands) {
    std::vector<TensorType> types;
    for (const ResultText& result : results)
      types.push_back(result.type);
    Node* made = graph.add(op, results.empty() ? "" : results[0].name, std::move(operands), {},
                           std::move(types), {});
    for (size_t i = 0; i < results.size(); ++i) {
      Value* value = made->result(static_cast<int>(i));
      if (!values.emplace(results[i].name, value).second)
        reader_.fail(results[i].at, fmt::format("a second value named {}", shown(results[i].name)));
      if (value->name != results[i].name)
        graph.unique_name(results[i].name); // Reserves it.
      value->name = results[i].name;
      value->layout = results[i].layout;
      value->storage = results[i].storage;
    }
    return made;
  }

  void nested_body(Node& node) {
    bool named = reader_.peek().kind == Token::Kind::text;
    if (!named && !reader_.peek().is("{"))
      return;
    node.body = std::make_unique<Graph>(named ? reader_.next().text : "");
    body(*node.body);
  }

  static std::string shown(const std::string& name) {
    return fmt::format("`%{}`", name_text(name.substr(0, 80)));
  }

  const OpDef& operation() {
    Token at = reader_.peek();
    std::string name = reader_.name("an operator");
    if (const OpDef* op = find_op(name))
      return *op;
    std::vector<std::string> names;
    for (const OpDef* op : all_ops())
      names.push_back(op->name);
    reader_.fail(at, fmt::format("unknown operator {}{}", at.shown(),
                                 did_you_mean(name.substr(0, 80), names)));
  }

  Value* operand(const Values& values) {
    Token at = reader_.expect("%");
    std::string name = reader_.name("the name of a value");
    auto it = values.find(name);
    if (it != values.end())
      return it->second;
    std::vector<std::string> names;
    for (const auto& [known, value] : values)
      names.push_back(known);
    std::sort(names.begin(), names.end());
    reader_.fail(at, fmt::format("no value {} before this{}", shown(name),
                                 did_you_mean(name.substr(0, 80), names)));
  }

  std::vector<Value*> arguments(const Values& values) {
    std::vector<Value*> operands;
    reader_.expect("(");
    while (!reader_.accept(")")) {
      if (!operands.empty())
        reader_.expect(",");
      operands.push_back(operand(values));
    }
    return operands;
  }

  Attributes attributes() {
    Attributes attrs;
    bool first = true;
    while (!reader_.accept("}")) {
      if (!first)
        reader_.expect(",");
      first = false;
      Token at = reader_.peek();
      std::string name = reader_.name("the name of an attribute");
      if (attrs.has(name))
        reader_.fail(at, fmt::format("a second attribute {}", at.shown()));
      reader_.expect("=");
      attrs.set(name, attribute());
    }
    return attrs;
  }

  Attribute attribute() {
    if (reader_.peek().kind == Token::Kind::text)
      return reader_.next().text;
    if (reader_.accept("["))
      return read_integers(reader_);
    Token token = reader_.word("the value of an attribute");
    if (token.is("true") || token.is("false"))
      return token.is("true");
    if (std::optional<int64_t> integer = integer_of(token.text))
      return *integer;
    if (std::optional<double> real = real_of(token.text))
      return *real;
    reader_.fail(token, fmt::format("expected the value of an attribute, got {}", token.shown()));
  }

  TextReader reader_;
  LocReader locs_;
};

} // namespace

Graph parse_graph(const std::string& text, const std::string& file_name) {
  return Parser(text, file_name).graph();
}

} // namespace netc
