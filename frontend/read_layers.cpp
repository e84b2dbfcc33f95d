// The section `layers`: each entry against the record of its operator, then the wiring.

#include "frontend/keys.h"
#include "frontend/readers.h"

#include "ir/op.h"

#include <algorithm>
#include <unordered_map>

namespace netc::frontend {

const std::vector<std::string>& reserved_names() {
  // Feeds, the network's input and the outputs of a loss.
  static const std::vector<std::string> names = {"data",   "images", "labels", "sample_ids",
                                                 "epochs", "seed",   "step",   "rate",
                                                 "input",  "top1",   "top5",   "probabilities"};
  return names;
}

std::vector<std::string> layer_types() {
  std::vector<std::string> types;
  for (const OpDef* op : all_ops())
    if (op->layer)
      types.push_back(op->name);
  return types;
}

namespace {

/// A name in `from:` with its place.
struct Reference {
  std::string name;
  Loc loc;
};

/// An entry while it is being read.
struct Entry {
  LayerDescription layer;
  bool has_from = false;
  bool wired = false; ///< What it reads is known: nothing was wrong with `from`.
  std::vector<Reference> from;
  Loc name_loc;
};

const OpDef* read_type(Section& section, Diagnostics& diagnostics) {
  const YamlNode* value = section.require("type", "what the layer computes, for example `conv2d`");
  if (!value)
    return nullptr;
  auto type = ValueReader(diagnostics).text(*value, {}, section.what("type"));
  if (!type)
    return nullptr;
  const OpDef* op = find_op(*type);
  if (op && op->layer)
    return op;
  const std::vector<std::string> types = layer_types();
  std::string hint = suggestion(*type, types);
  std::string problem = op ? fmt::format("`{}` is an operator of the compiler, not a layer", *type)
                           : fmt::format("unknown layer type {}", quote(*type));
  Diagnostic& d = diagnostics.error(value->loc, problem + hint);
  if (hint.empty())
    d.note(fmt::format("layer types: {}", alternatives(types, "and")));
  return nullptr;
}

InitSpec read_init(const YamlNode& value, const std::string& owner, Diagnostics& diagnostics) {
  InitSpec init;
  Section section(value, fmt::format("`init` of {}", owner), diagnostics);
  ValueReader reader(diagnostics);
  std::vector<std::string> given;
  for (const AttrDef& rule : init_rules()) {
    const YamlNode* entry = section.take(rule.name);
    if (!entry)
      continue;
    given.push_back(rule.name);
    init.kind = rule.name;
    const std::string what = section.what(rule.name);
    auto number = reader.attribute(*entry, rule, what);
    if (number && rule.kind == AttrKind::real)
      init.scale = std::get<double>(*number);
    else if (number && !std::get<bool>(*number))
      diagnostics.error(entry->loc, fmt::format("{} can only be `true`", what))
          .note("leave it out to choose another rule");
  }
  if (given.size() > 1)
    diagnostics
        .error(section.loc(), fmt::format("{} gives {} rules for the weights: {}", section.name(),
                                          given.size(), alternatives(given, "and")))
        .note("keep one of them");
  if (const YamlNode* bias = section.take(init_bias_key().name))
    if (auto number = reader.real(*bias, init_bias_key(), section.what("bias")))
      init.bias = *number;
  section.finish();
  return init;
}

void read_from(const YamlNode& value, Entry& entry, const std::string& what,
               Diagnostics& diagnostics) {
  ValueReader reader(diagnostics);
  entry.has_from = true;
  entry.wired = true;
  auto add = [&](const YamlNode& item) {
    if (item.is_scalar() && !item.text.empty()) {
      entry.from.push_back({item.text, item.loc});
    } else {
      reader.mismatch(item, what, "the name of a layer");
      entry.wired = false;
    }
  };
  if (!value.is_list()) {
    add(value);
    return;
  }
  for (const YamlPtr& item : value.items)
    add(*item);
  if (value.items.empty()) {
    diagnostics.error(value.loc, fmt::format("{} names no layer", what))
        .note("leave `from` out to read the layer above");
    entry.wired = false;
  }
}

void read_name(Section& section, size_t number, Entry& entry, Diagnostics& diagnostics) {
  const YamlNode* value = section.require("name", "identifies the layer, for example `conv1`");
  if (!value)
    return;
  entry.name_loc = value->loc;
  auto name = ValueReader(diagnostics).name(*value, fmt::format("`name` of layer {}", number));
  if (!name)
    return;
  const auto& reserved = reserved_names();
  if (std::find(reserved.begin(), reserved.end(), *name) != reserved.end())
    diagnostics.error(value->loc, fmt::format("a layer cannot be named `{}`", *name))
        .note("every network has a value of that name");
  else
    entry.layer.name = *name;
}

Entry read_entry(const YamlNode& value, size_t number, Diagnostics& diagnostics) {
  Entry entry;
  entry.layer.loc = value.loc;
  // Messages name the layer as the file does, as far as it does.
  const YamlEntry* name = value.find("name");
  const YamlEntry* type = value.find("type");
  std::string owner =
      name && name->value->is_scalar()
          ? fmt::format("{} {}",
                        type && type->value->is_scalar() ? plain(type->value->text) : "layer",
                        quote(name->value->text))
          : fmt::format("layer {}", number);
  Section section(value, owner, diagnostics);
  if (!section.valid())
    return entry;
  read_name(section, number, entry, diagnostics);
  if (const YamlNode* from = section.take("from"))
    read_from(*from, entry, section.what("from"), diagnostics);
  const OpDef* op = read_type(section, diagnostics);
  if (!op) { // What other keys it may have is unknown.
    section.report_missing();
    return entry;
  }
  entry.layer.op = op;
  section.read(op->layer->keys.empty() ? op->attrs : op->layer->keys, entry.layer.keys);
  if (op->layer->parameters)
    if (const YamlNode* init = section.take("init"))
      entry.layer.init = read_init(*init, owner, diagnostics);
  section.finish();
  return entry;
}

/// Resolves what each layer reads.
class Wiring {
public:
  Wiring(std::vector<Entry>& entries, Diagnostics& diagnostics)
      : entries_(entries), diagnostics_(diagnostics) {}

  void run() {
    for (size_t i = 0; i < entries_.size(); ++i)
      register_name(i);
    for (size_t i = 0; i < entries_.size(); ++i)
      if (!entries_[i].has_from) {
        const std::string& above = i == 0 ? input_ : entries_[i - 1].layer.name;
        entries_[i].from = {{above, entries_[i].layer.loc}};
        entries_[i].wired = !above.empty();
      }
    for (size_t i = 0; i < entries_.size() && !too_many(diagnostics_); ++i)
      resolve(i);
  }

private:
  void register_name(size_t i) {
    const Entry& entry = entries_[i];
    if (entry.layer.name.empty())
      return;
    auto [it, fresh] = index_.try_emplace(entry.layer.name, i);
    if (!fresh)
      diagnostics_.error(entry.name_loc, fmt::format("two layers are named `{}`", entry.layer.name))
          .note(entries_[it->second].name_loc, "the first is here");
  }

  void resolve(size_t i) {
    Entry& entry = entries_[i];
    for (const Reference& reference : entry.from) {
      entry.layer.from.push_back(reference.name);
      if (!entry.has_from || reference.name == input_)
        continue;
      auto it = index_.find(reference.name);
      if (it == index_.end())
        unknown(reference);
      else if (it->second >= i)
        downwards(i, it->second, reference);
    }
    check_count(entry);
  }

  void unknown(const Reference& reference) {
    std::vector<std::string> names = {input_};
    for (const Entry& entry : entries_)
      if (!entry.layer.name.empty())
        names.push_back(entry.layer.name);
    diagnostics_.error(reference.loc, fmt::format("there is no layer {}{}", quote(reference.name),
                                                  suggestion(reference.name, names)));
  }

  void downwards(size_t reader, size_t target, const Reference& reference) {
    const std::string& name = entries_[reader].layer.name;
    if (reader == target) {
      diagnostics_.error(reference.loc, fmt::format("`{}` reads itself", name))
          .note("a layer reads layers above it, or `data`");
      return;
    }
    Diagnostic& d =
        diagnostics_.error(reference.loc, fmt::format("`{}` reads `{}`, which is defined below it",
                                                      name, reference.name));
    d.note(entries_[target].name_loc, fmt::format("`{}` is defined here", reference.name));
    std::vector<std::string> path;
    std::vector<bool> seen(entries_.size());
    if (find_path(target, reader, seen, path))
      d.note(fmt::format("a cycle: `{}` reads {}", name, join_path(path)));
    else
      d.note(fmt::format("move `{}` above `{}`", reference.name, name));
  }

  /// Names on the way from `from` to `to`, both included, following what layers read.
  bool find_path(size_t from, size_t to, std::vector<bool>& seen, std::vector<std::string>& path) {
    std::vector<std::pair<size_t, size_t>> stack = {{from, 0}}; // layer, next of its references
    seen[from] = true;
    while (!stack.empty()) {
      auto& [at, next] = stack.back();
      if (at == to) {
        for (const auto& [layer, unused] : stack)
          path.push_back(entries_[layer].layer.name);
        return true;
      }
      if (next == entries_[at].from.size()) {
        stack.pop_back();
        continue;
      }
      auto it = index_.find(entries_[at].from[next++].name);
      if (it != index_.end() && !seen[it->second]) {
        seen[it->second] = true;
        stack.push_back({it->second, 0});
      }
    }
    return false;
  }

  /// `a` reads `b` reads `c`; the middle of a long path is left out.
  static std::string join_path(const std::vector<std::string>& path) {
    constexpr size_t shown = 6;
    std::string out;
    for (size_t i = 0; i < path.size(); ++i) {
      if (path.size() > shown && i == shown / 2)
        out += " reads ...";
      if (path.size() <= shown || i < shown / 2 || i + shown / 2 >= path.size())
        out += fmt::format("{}`{}`", i == 0 ? "" : " reads ", path[i]);
    }
    return out;
  }

  void check_count(const Entry& entry) {
    if (!entry.layer.op || !entry.wired)
      return;
    const LayerDef& def = *entry.layer.op->layer;
    const int count = static_cast<int>(entry.from.size());
    if (count >= def.min_inputs && count <= def.max_inputs)
      return;
    std::string wanted = def.min_inputs == def.max_inputs
                             ? fmt::format("{}", def.min_inputs)
                             : fmt::format("{} to {}", def.min_inputs, def.max_inputs);
    Diagnostic& d = diagnostics_.error(entry.has_from ? entry.from.front().loc : entry.layer.loc,
                                       fmt::format("{} `{}` reads {} layer{}, must read {}",
                                                   entry.layer.op->name, entry.layer.name, count,
                                                   count == 1 ? "" : "s", wanted));
    if (count < def.min_inputs)
      d.note("name them with `from: [a, b]`");
  }

  const std::string input_ = "data";
  std::vector<Entry>& entries_;
  Diagnostics& diagnostics_;
  std::unordered_map<std::string, size_t> index_; ///< The first layer of each name.
};

} // namespace

std::vector<LayerDescription> read_layers(const YamlNode& value, Diagnostics& diagnostics) {
  if (!value.is_list()) {
    ValueReader(diagnostics)
        .mismatch(value, "`layers`", "a list")
        .note("for example: - {name: conv1, type: conv2d, filters: 96, kernel: 11}");
    return {};
  }
  if (value.items.empty())
    diagnostics.error(value.loc, "`layers` is empty, a network has at least one layer");
  std::vector<Entry> entries;
  for (const YamlPtr& item : value.items)
    if (!too_many(diagnostics))
      entries.push_back(read_entry(*item, entries.size() + 1, diagnostics));
  Wiring(entries, diagnostics).run();
  std::vector<LayerDescription> layers;
  for (Entry& entry : entries)
    layers.push_back(std::move(entry.layer));
  return layers;
}

} // namespace netc::frontend
