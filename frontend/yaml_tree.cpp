#include "frontend/yaml_tree.h"

#include "frontend/source_checks.h"
#include "frontend/values.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_map>

namespace netc::frontend {

const YamlEntry* YamlNode::find(std::string_view key) const {
  for (const YamlEntry& entry : entries)
    if (entry.key == key)
      return &entry;
  return nullptr;
}

namespace {

constexpr size_t max_depth = 32;
constexpr int max_aliases = 100;
constexpr int64_t max_values = 100'000;

/// Thrown by the handler through yaml-cpp once an error has been reported.
struct Refused {};

/// Builds the tree from yaml-cpp's events.
class TreeBuilder final : public YAML::EventHandler {
public:
  TreeBuilder(std::shared_ptr<const SourceFile> file, Diagnostics& diagnostics)
      : file_(std::move(file)), diagnostics_(diagnostics) {}

  YamlPtr root;

  /// The innermost collection in brackets that is open, for errors of yaml-cpp; may be unknown.
  Loc open_bracket() const {
    for (size_t i = stack_.size(); i-- > 0;)
      if (stack_[i].flow)
        return stack_[i].node->loc;
    return {};
  }

  Loc at(const YAML::Mark& mark) const {
    return mark.is_null() ? Loc{file_} : Loc{file_, mark.line + 1, mark.column + 1};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root)
      refuse(at(mark), "a second document begins here",
             "a file describes one network; remove the line `---` or split the file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(make(YamlNode::Kind::null, mark), anchor, 1);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = make(YamlNode::Kind::scalar, mark);
    node->text = value;
    node->quoted = tag == "!";
    if (node->quoted && !is_closed(static_cast<size_t>(mark.pos)))
      refuse(at(mark), "this quotation mark is not closed");
    if (tag != "?" && tag != "!" && !tag.empty())
      refuse_tag(mark, tag);
    place(node, anchor, 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto it = anchors_.find(anchor);
    if (it == anchors_.end())
      refuse(at(mark), "the alias stands for a value that contains it");
    if (++aliases_ > max_aliases)
      refuse(at(mark), fmt::format("more than {} aliases", max_aliases), "write the values out");
    place(it->second.node, 0, it->second.size);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    open(YamlNode::Kind::list, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(YamlNode::Kind::map, mark, tag, anchor, style);
  }
  void OnMapEnd() override { close(); }

private:
  /// A collection that is being filled.
  struct Open {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor = 0;
    bool flow = false;
    int64_t size = 1;                          ///< Values in it, aliases expanded.
    bool has_key = false;                      ///< Of a map: a key waits for its value.
    bool duplicate = false;                    ///< The key occurred before; its value is dropped.
    std::unordered_map<std::string, Loc> keys; ///< Of a map: where each was first given.
  };
  struct Anchored {
    YamlPtr node;
    int64_t size;
  };

  [[noreturn]] void refuse(Loc loc, std::string message, std::string note = {}) {
    Diagnostic& d = diagnostics_.error(std::move(loc), std::move(message));
    if (!note.empty())
      d.note(std::move(note));
    throw Refused{};
  }

  [[noreturn]] void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    refuse(at(mark), fmt::format("the YAML tag {} is not supported", quote(tag)),
           "write the plain value");
  }

  /// Whether the quoted text that begins at `pos` ends: yaml-cpp takes the end of the file for it.
  /// Blocks of text (`|`, `>`) need no end.
  bool is_closed(size_t pos) const {
    const std::string& text = file_->text;
    if (pos >= text.size() || (text[pos] != '"' && text[pos] != '\''))
      return true;
    const char quote = text[pos];
    for (size_t i = pos + 1; i < text.size(); ++i) {
      if (text[i] == '\\' && quote == '"')
        ++i;
      else if (text[i] == quote && quote == '\'' && i + 1 < text.size() && text[i + 1] == quote)
        ++i;
      else if (text[i] == quote)
        return true;
    }
    return false;
  }

  std::shared_ptr<YamlNode> make(YamlNode::Kind kind, const YAML::Mark& mark) const {
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->loc = at(mark);
    return node;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
    if (tag != "?" && tag != "!" && !tag.empty())
      refuse_tag(mark, tag);
    if (stack_.size() >= max_depth)
      refuse(at(mark), fmt::format("values are nested more than {} deep", max_depth),
             "a description needs five levels");
    Open collection;
    collection.node = make(kind, mark);
    collection.anchor = anchor;
    collection.flow = style == YAML::EmitterStyle::Flow;
    stack_.push_back(std::move(collection));
  }

  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    place(std::move(done.node), done.anchor, done.size);
  }

  /// Puts a finished value where it belongs: a key or a value of the innermost collection.
  void place(YamlPtr node, YAML::anchor_t anchor, int64_t size) {
    if (anchor)
      anchors_[anchor] = {node, size};
    if (stack_.empty()) {
      root = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    parent.size += size;
    if (parent.size > max_values)
      refuse(node->loc, fmt::format("more than {} values once aliases are expanded", max_values),
             "no network is that large");
    if (parent.node->is_list())
      parent.node->items.push_back(std::move(node));
    else if (parent.has_key)
      place_value(parent, std::move(node));
    else
      place_key(parent, *node);
  }

  void place_key(Open& map, const YamlNode& key) {
    if (key.is_list() || key.is_map())
      refuse(key.loc, "a key must be a word, this is a list or a map");
    if (!key.is_scalar() || key.text.empty())
      refuse(key.loc, "a key is missing here", "a map holds `key: value` pairs");
    map.has_key = true;
    auto [before, fresh] = map.keys.try_emplace(key.text, key.loc);
    map.duplicate = !fresh;
    if (fresh) {
      map.node->entries.push_back({key.text, key.loc, nullptr});
      return;
    }
    diagnostics_.error(key.loc, fmt::format("the key {} is given twice", quote(key.text)))
        .note(before->second, "first given here");
    if (too_many(diagnostics_))
      throw Refused{};
  }

  static void place_value(Open& map, YamlPtr node) {
    YamlEntry& entry = map.node->entries.back();
    if (node->kind == YamlNode::Kind::null) { // It has no place of its own.
      auto nothing = std::make_shared<YamlNode>();
      nothing->loc = entry.loc;
      node = std::move(nothing);
    }
    if (!map.duplicate)
      entry.value = std::move(node);
    map.has_key = map.duplicate = false;
  }

  std::shared_ptr<const SourceFile> file_;
  Diagnostics& diagnostics_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  int aliases_ = 0;
};

/// What usually causes an error that yaml-cpp words from its scanner's point of view.
std::string usual_cause(std::string_view message) {
  auto has = [&](std::string_view part) { return message.find(part) != message.npos; };
  if (has("end of map flow") || has("end of sequence flow"))
    return "a closing bracket or a comma between two entries is missing";
  if (has("illegal map value"))
    return "a text that contains `: ` needs quotes, and a key must be indented like its neighbours";
  if (has("end of map") || has("end of sequence") || has("illegal block entry"))
    return "lines that belong together must be indented by the same number of spaces";
  if (has("anchor"))
    return "an alias `*x` needs an anchor `&x` above it; a text that begins with `*` needs quotes";
  if (has("unknown token") || has("block indentation"))
    return "a text that begins with one of @ ` % & * ! | > needs quotes";
  return {};
}

void report(const YAML::Exception& e, const TreeBuilder& builder, Diagnostics& diagnostics) {
  std::string message = e.msg;
  while (!message.empty() && (message.back() == '.' || message.back() == '\n'))
    message.pop_back();
  Diagnostic& d =
      diagnostics.error(builder.at(e.mark), fmt::format("not valid YAML: {}", plain(message, 200)));
  if (std::string cause = usual_cause(message); !cause.empty())
    d.note(std::move(cause));
  if (Loc bracket = builder.open_bracket(); bracket.known())
    d.note(bracket, "this bracket is still open");
}

} // namespace

YamlPtr parse_yaml(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics,
                   const std::string& keys) {
  if (!check_source(file, diagnostics))
    return nullptr;
  TreeBuilder builder(file, diagnostics);
  try {
    std::istringstream in(file->text);
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder))
      ;
  } catch (const Refused&) {
    return nullptr;
  } catch (const YAML::Exception& e) {
    report(e, builder, diagnostics);
    return nullptr;
  }
  if (!builder.root || builder.root->kind == YamlNode::Kind::null) {
    diagnostics.error({file}, "the file is empty").note(keys);
    return nullptr;
  }
  return builder.root;
}

} // namespace netc::frontend
