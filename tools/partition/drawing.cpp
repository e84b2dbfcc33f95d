#include "tools/partition/drawing.h"

#include "ir/ops.h"
#include "tools/viz/label.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace netc {

namespace {

/// Okabe and Ito's colours, which colour-blind readers tell apart, in a tint that text stands on.
constexpr const char* strong[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                  "#56b4e9", "#e69f00", "#f0e442", "#7f7f7f"};
constexpr const char* tint[] = {"#b3d5ea", "#f5cdb3", "#b3e2d5", "#f0d7e4",
                                "#ddf0fa", "#f8e2b3", "#fbf8d0", "#dddddd"};
constexpr size_t colours = std::size(strong);

/// An exchange between two layers; several of one kind are drawn as one.
struct DrawnExchange {
  std::string kind, from, to; ///< Layers; `from` == `to`: within one.
  bool backward = false;
  bool operator<(const DrawnExchange& other) const {
    return std::tie(from, to, backward, kind) <
           std::tie(other.from, other.to, other.backward, other.kind);
  }
};

/// Lines below each other, as a label.
std::string lines(const std::string& first, const std::string& second) {
  std::string a = dot_string(first), b = dot_string(second);
  return second.empty() ? a : a.substr(0, a.size() - 1) + "\\n" + b.substr(1);
}

struct Amount {
  int64_t bytes = 0;
  int count = 0;
  std::vector<bool> sends, receives; ///< By device.
};

class PartitionDrawing {
public:
  PartitionDrawing(const UncutStep& uncut, const CutStep& step,
                   const std::vector<std::string>& devices)
      : uncut_(uncut), step_(step), devices_(devices) {
    for (const LayerPlace& place : uncut.places)
      layer_at_[{place.loc.line, place.loc.column}] = place.name;
    collect_layers();
    collect_exchanges();
  }

  std::string run() {
    out_ = "digraph partition {\n"
           "  graph [rankdir=TB, newrank=true, fontname=\"Helvetica,Arial,sans-serif\", "
           "bgcolor=white, pad=0.3, nodesep=0.35, ranksep=0.3]\n"
           "  node [shape=box, style=\"rounded,filled\", fontsize=12, penwidth=1, height=0.2, "
           "fontname=\"Helvetica,Arial,sans-serif\", margin=\"0.1,0.05\"]\n"
           "  edge [fontname=\"Helvetica,Arial,sans-serif\", arrowsize=0.6]\n";
    for (size_t d = 0; d < devices_.size(); ++d)
      write_device(d);
    write_ranks();
    int number = 0;
    for (const auto& [exchange, amount] : exchanges_)
      write_exchange(exchange, amount, number++);
    return out_ + left_out_text() + "}\n";
  }

private:
  std::string layer_of(const Node& node) const {
    auto it = layer_at_.find({node.loc.line, node.loc.column});
    return it == layer_at_.end() ? "" : it->second;
  }

  bool is_backward(const Node& node) const { return uncut_.context.origins.count(&node) > 0; }

  /// What each device computes of each layer's forward part: `0:64` of what is cut.
  void collect_layers() {
    shares_.resize(devices_.size());
    for (size_t d = 0; d < devices_.size(); ++d)
      for (const auto& node : step_.graphs[d].nodes) {
        const Node& whole = *step_.origins.at(node.get()).node;
        if (node->op == &ops::exchange || whole.operands.empty() || is_backward(whole) ||
            whole.op->is_update())
          continue;
        std::string layer = layer_of(whole);
        if (!layer.empty() && (node->op->is_contraction() || !shares_[d].count(layer)))
          shares_[d][layer] = share_text(*node, whole);
      }
  }

  /// `64 of 128 samples`, or nothing when it is all.
  static std::string share_text(const Node& local, const Node& whole) {
    static const char* const names[] = {"samples", "channels", "rows", "columns"};
    const Shape &part = local.result()->type.shape, &all = whole.result()->type.shape;
    for (size_t d = 0; d < part.size() && d < 4 && part.size() == all.size(); ++d)
      if (part[d] != all[d])
        return fmt::format("{} of {} {}", part[d], all[d], names[d]);
    const Shape &read = local.operands[0]->type.shape, &has = whole.operands[0]->type.shape;
    if (read.size() == has.size() && read.size() > 1 && read[1] != has[1])
      return fmt::format("sums over {} of {}", read[1], has[1]);
    return "";
  }

  void collect_exchanges() {
    std::vector<Exchange> exchanges = exchanges_of(step_.graphs[0]);
    size_t next = 0;
    for (const auto& node : step_.graphs[0].nodes) {
      if (node->op != &ops::exchange)
        continue;
      const Exchange& exchange = exchanges[next++];
      const CutOrigin& origin = step_.origins.at(node.get());
      std::string from = layer_of(*origin.node);
      std::string to = origin.reader ? layer_of(*origin.reader) : from;
      const bool backward = is_backward(*origin.node);
      Amount& amount = exchanges_[{std::string(to_string(exchange.kind())), from, to, backward}];
      amount.sends.resize(devices_.size()), amount.receives.resize(devices_.size());
      auto bytes = bytes_sent(exchange);
      for (size_t a = 0; a < bytes.size(); ++a)
        for (size_t b = 0; b < bytes.size(); ++b)
          if (bytes[a][b] > 0) {
            amount.bytes += bytes[a][b];
            amount.sends[a] = amount.receives[b] = true;
          }
      ++amount.count;
    }
    std::erase_if(exchanges_, [&](const auto& entry) {
      const bool small = entry.second.bytes < least_drawn;
      left_out_ += small ? entry.second.count : 0;
      return small;
    });
  }

  /// Below the drawing. It comes last: clusters would inherit it.
  std::string left_out_text() const {
    if (left_out_ == 0)
      return "";
    return fmt::format(
        "  label=\"not drawn: exchanges of less than {} kB between two layers ({})\" "
        "labelloc=b fontsize=9\n",
        least_drawn / 1000, left_out_);
  }

  static std::string id(size_t device, const std::string& layer) {
    return dot_string(fmt::format("{}/{}", device, layer));
  }

  void write_device(size_t d) {
    out_ += fmt::format("  subgraph cluster_{} {{\n    label={} style=\"rounded\" color=\"{}\" "
                        "fontcolor=\"{}\"\n",
                        d, dot_string(devices_[d]), strong[d % colours], strong[d % colours]);
    std::string before;
    for (const LayerPlace& place : uncut_.places) {
      auto share = shares_[d].find(place.name);
      if (share == shares_[d].end())
        continue;
      const bool all = share->second.empty() && computed_elsewhere(d, place.name);
      out_ += fmt::format("    {} [label={} fillcolor=\"{}\" color=\"{}\"]\n", id(d, place.name),
                          lines(place.name, share->second), all ? "#f4f4f4" : tint[d % colours],
                          strong[d % colours]);
      if (!before.empty())
        out_ += fmt::format("    {} -> {} [color=\"#999999\"]\n", id(d, before), id(d, place.name));
      before = place.name;
    }
    out_ += "  }\n";
  }

  bool computed_elsewhere(size_t device, const std::string& layer) const {
    for (size_t d = 0; d < devices_.size(); ++d)
      if (d != device && shares_[d].count(layer))
        return true;
    return false;
  }

  /// A layer stands at one height on all devices.
  void write_ranks() {
    for (const LayerPlace& place : uncut_.places) {
      std::string row;
      for (size_t d = 0; d < devices_.size(); ++d)
        if (shares_[d].count(place.name))
          row += id(d, place.name) + "; ";
      if (!row.empty())
        out_ += fmt::format("  {{ rank=same; {}}}\n", row);
    }
  }

  void write_exchange(const DrawnExchange& exchange, const Amount& amount, int number) {
    const double width = 1 + 1.5 * std::log10(1 + static_cast<double>(amount.bytes) / 1e6);
    const std::string name = fmt::format("exchange{}", number);
    const char* style = exchange.backward ? "dashed" : "solid";
    const std::string count = amount.count > 1 ? fmt::format(" x{}", amount.count) : "";
    out_ += fmt::format("  {} [shape=diamond style=filled fillcolor=\"#fde0dd\" color=\"#c00000\" "
                        "fontsize=9 margin=\"0,0\" label={}]\n",
                        name,
                        lines(exchange.kind + count,
                              fmt::format("{:.1f} MB", static_cast<double>(amount.bytes) / 1e6)));
    if (exchange.backward && exchange.from != exchange.to)
      hold_between(name, exchange);
    for (size_t d = 0; d < devices_.size(); ++d) {
      const bool sends = amount.sends[d] && shares_[d].count(exchange.from);
      const bool receives = amount.receives[d] && shares_[d].count(exchange.to);
      const std::string look =
          fmt::format("color=\"#c00000\" style={} penwidth={:.2f}{}", style, width,
                      exchange.backward && exchange.from != exchange.to ? " constraint=false" : "");
      if (exchange.from == exchange.to) {
        if (sends || receives)
          out_ += fmt::format("  {} -> {} [dir=both {}]\n", id(d, exchange.from), name, look);
        continue;
      }
      if (sends)
        out_ += fmt::format("  {} -> {} [{}]\n", id(d, exchange.from), name, look);
      if (receives)
        out_ += fmt::format("  {} -> {} [{}]\n", name, id(d, exchange.to), look);
    }
  }

  /// A gradient's exchange stands where that of the activations would, though it goes upwards.
  void hold_between(const std::string& name, const DrawnExchange& exchange) {
    for (size_t d = 0; d < devices_.size(); ++d) {
      if (shares_[d].count(exchange.to))
        out_ += fmt::format("  {} -> {} [style=invis]\n", id(d, exchange.to), name);
      if (shares_[d].count(exchange.from))
        out_ += fmt::format("  {} -> {} [style=invis]\n", name, id(d, exchange.from));
    }
  }

  /// What carries fewer bytes between two layers is not worth a diamond: losses, counts.
  static constexpr int64_t least_drawn = 50'000;

  const UncutStep& uncut_;
  const CutStep& step_;
  const std::vector<std::string>& devices_;
  std::map<std::pair<int, int>, std::string> layer_at_;    ///< By place.
  std::vector<std::map<std::string, std::string>> shares_; ///< By device: layer to what it does.
  std::map<DrawnExchange, Amount> exchanges_;
  int left_out_ = 0; ///< How many are too small to be drawn.
  std::string out_;
};

} // namespace

std::string partition_dot(const UncutStep& uncut, const CutStep& step,
                          const std::vector<std::string>& devices) {
  return PartitionDrawing(uncut, step, devices).run();
}

} // namespace netc
