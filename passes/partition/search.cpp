// The exact search removes layers one by one, as OptCNN does (arXiv 1802.04924): a layer with one
// neighbour joins it, one between two neighbours becomes an edge between them, and parallel edges
// become one. Where every layer left has three neighbours or more, the choices of one are tried in
// turn. In place of a number, each entry of a table holds the labels that can still become one of
// the k best, which is also how the memory limit is kept exactly.

#include "passes/partition/search.h"

#include "ir/support/error.h"
#include "passes/partition/labels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace netc {

namespace {

using partition::Label;
using partition::Labels;
using partition::Selection;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Tables of what is left of a problem. Bytes count from the least that each layer needs, so that
/// a label leaves room for all other layers.
class Reduction {
public:
  Reduction(const SearchProblem& problem, const Selection& selection);
  /// The k best assignments.
  Labels solve();

private:
  /// [choice of the first layer][choice of the second].
  using Table = std::vector<std::vector<Labels>>;

  std::vector<int> neighbours(int layer) const;
  std::vector<Labels>& node(int layer) { return nodes_[static_cast<size_t>(layer)]; }
  const Labels& edge(int a, size_t choice_a, int b, size_t choice_b) const;
  void join(int a, int b, Table table);
  void remove(int layer);
  void fold(int layer, int neighbour);
  void bridge(int layer, int a, int b);
  void finish(int layer);
  Labels try_each(int layer);

  const Selection& selection_;
  std::vector<std::vector<Labels>> nodes_; ///< [layer][choice]; no choices: removed.
  std::map<std::pair<int, int>, Table> edges_;
  Labels done_; ///< Of what was removed and had no neighbour left.
};

Reduction::Reduction(const SearchProblem& problem, const Selection& selection)
    : selection_(selection) {
  const Label nothing{0, 0, 0, std::vector<int16_t>(problem.layers.size(), -1)};
  done_ = {nothing};
  for (size_t i = 0; i < problem.layers.size(); ++i) {
    nodes_.emplace_back();
    for (const Choice& choice : problem.layers[i].choices) {
      Label label = nothing;
      label.seconds = choice.seconds;
      label.bytes = problem.memory_limit ? choice.bytes - least_bytes(problem.layers[i]) : 0;
      label.choices[i] = static_cast<int16_t>(nodes_[i].size());
      nodes_[i].push_back(selection_.combine(done_, {label}));
    }
  }
  for (const SearchEdge& e : problem.edges) {
    Table table;
    for (const std::vector<double>& row : e.seconds) {
      table.emplace_back();
      for (double seconds : row)
        table.back().push_back(selection_.combine(done_, {{seconds, 0, 0, nothing.choices}}));
    }
    join(e.from, e.to, std::move(table));
  }
}

std::vector<int> Reduction::neighbours(int layer) const {
  std::vector<int> list;
  for (const auto& [ends, table] : edges_)
    if (ends.first == layer || ends.second == layer)
      list.push_back(ends.first == layer ? ends.second : ends.first);
  return list;
}

const Labels& Reduction::edge(int a, size_t choice_a, int b, size_t choice_b) const {
  return a < b ? edges_.at({a, b})[choice_a][choice_b] : edges_.at({b, a})[choice_b][choice_a];
}

/// Adds an edge, to the one that may be there already.
void Reduction::join(int a, int b, Table table) {
  if (a > b) {
    Table turned(table.front().size(), std::vector<Labels>(table.size()));
    for (size_t i = 0; i < table.size(); ++i)
      for (size_t j = 0; j < table[i].size(); ++j)
        turned[j][i] = std::move(table[i][j]);
    return join(b, a, std::move(turned));
  }
  auto [place, added] = edges_.try_emplace({a, b}, table);
  if (!added)
    for (size_t i = 0; i < table.size(); ++i)
      for (size_t j = 0; j < table[i].size(); ++j)
        place->second[i][j] = selection_.combine(place->second[i][j], table[i][j]);
}

void Reduction::remove(int layer) {
  node(layer).clear();
  std::erase_if(edges_, [&](const auto& entry) {
    return entry.first.first == layer || entry.first.second == layer;
  });
}

/// For each choice of its only neighbour, the layer makes its best.
void Reduction::fold(int layer, int neighbour) {
  std::vector<Labels>& into = node(neighbour);
  for (size_t there = 0; there < into.size(); ++there) {
    std::vector<std::pair<const Labels*, const Labels*>> pairs;
    for (size_t here = 0; here < node(layer).size(); ++here)
      pairs.push_back({&node(layer)[here], &edge(layer, here, neighbour, there)});
    into[there] = selection_.combine(into[there], selection_.combine(pairs));
  }
  remove(layer);
}

/// For each pair of choices of its two neighbours, the layer makes its best.
void Reduction::bridge(int layer, int a, int b) {
  const std::vector<Labels>& choices = node(layer);
  std::vector<std::vector<Labels>> to_b(choices.size());
  for (size_t here = 0; here < choices.size(); ++here)
    for (size_t at_b = 0; at_b < node(b).size(); ++at_b)
      to_b[here].push_back(selection_.combine(choices[here], edge(layer, here, b, at_b)));
  Table table(node(a).size());
  for (size_t at_a = 0; at_a < node(a).size(); ++at_a)
    for (size_t at_b = 0; at_b < node(b).size(); ++at_b) {
      std::vector<std::pair<const Labels*, const Labels*>> pairs;
      for (size_t here = 0; here < choices.size(); ++here)
        pairs.push_back({&edge(layer, here, a, at_a), &to_b[here][at_b]});
      table[at_a].push_back(selection_.combine(pairs));
    }
  remove(layer);
  join(a, b, std::move(table));
}

void Reduction::finish(int layer) {
  std::vector<std::pair<const Labels*, const Labels*>> pairs;
  for (const Labels& labels : node(layer))
    pairs.push_back({&done_, &labels});
  done_ = selection_.combine(pairs);
  remove(layer);
}

Labels Reduction::try_each(int layer) {
  std::vector<Labels> found;
  for (size_t here = 0; here < node(layer).size(); ++here) {
    Reduction rest = *this;
    for (int neighbour : neighbours(layer)) {
      std::vector<Labels>& into = rest.node(neighbour);
      for (size_t there = 0; there < into.size(); ++there)
        into[there] = selection_.combine(into[there], edge(layer, here, neighbour, there));
    }
    rest.done_ = selection_.combine(done_, node(layer)[here]);
    rest.remove(layer);
    found.push_back(rest.solve());
  }
  std::vector<const Labels*> lists;
  for (const Labels& labels : found)
    lists.push_back(&labels);
  return selection_.unite(lists);
}

Labels Reduction::solve() {
  while (!done_.empty()) {
    int fewest = -1, most = -1;
    size_t least = SIZE_MAX, greatest = 0;
    for (int layer = 0; layer < static_cast<int>(nodes_.size()); ++layer) {
      if (node(layer).empty())
        continue;
      const size_t degree = neighbours(layer).size();
      if (degree < least)
        least = degree, fewest = layer;
      if (most < 0 || degree > greatest)
        greatest = degree, most = layer;
    }
    if (fewest < 0)
      return done_;
    const std::vector<int> around = neighbours(fewest);
    if (around.empty())
      finish(fewest);
    else if (around.size() == 1)
      fold(fewest, around[0]);
    else if (around.size() == 2)
      bridge(fewest, around[0], around[1]);
    else
      return try_each(most);
  }
  return {};
}

void check(const SearchProblem& problem) {
  auto choices_of = [&](int layer) {
    NETC_CHECK(layer >= 0 && layer < static_cast<int>(problem.layers.size()),
               "an edge of layer {} in a search over {}", layer, problem.layers.size());
    return problem.layers[static_cast<size_t>(layer)].choices.size();
  };
  NETC_CHECK(!problem.layers.empty(), "a search over no layers");
  for (const SearchLayer& layer : problem.layers) {
    NETC_CHECK(!layer.choices.empty() && layer.choices.size() <= INT16_MAX, "`{}` has {} choices",
               layer.name, layer.choices.size());
    for (const Choice& choice : layer.choices)
      NETC_CHECK(choice.seconds >= 0 && choice.bytes >= 0, "`{}` of `{}` costs {}, {} bytes",
                 choice.name, layer.name, choice.seconds, choice.bytes);
  }
  for (const SearchEdge& edge : problem.edges) {
    const size_t rows = choices_of(edge.from), columns = choices_of(edge.to);
    NETC_CHECK(edge.from != edge.to && edge.seconds.size() == rows, "edge {} -> {} has {} rows",
               edge.from, edge.to, edge.seconds.size());
    for (const std::vector<double>& row : edge.seconds) {
      NETC_CHECK(row.size() == columns, "edge {} -> {} has rows of {}", edge.from, edge.to,
                 row.size());
      for (double seconds : row)
        NETC_CHECK(seconds >= 0, "edge {} -> {} costs {}", edge.from, edge.to, seconds);
    }
  }
}

/// The same choices where bytes are what is to be small.
SearchProblem bytes_alone(SearchProblem problem) {
  problem.memory_limit = 0;
  for (SearchLayer& layer : problem.layers)
    for (Choice& choice : layer.choices)
      if (choice.seconds < infinity)
        choice.seconds = static_cast<double>(choice.bytes);
  for (SearchEdge& edge : problem.edges)
    for (std::vector<double>& row : edge.seconds)
      for (double& seconds : row)
        if (seconds < infinity)
          seconds = 0;
  return problem;
}

} // namespace

double evaluate(const SearchProblem& problem, const std::vector<int>& choices) {
  auto chosen = [&](int layer) { return static_cast<size_t>(choices[static_cast<size_t>(layer)]); };
  double seconds = 0;
  for (size_t i = 0; i < problem.layers.size(); ++i)
    seconds += problem.layers[i].choices[chosen(static_cast<int>(i))].seconds;
  for (const SearchEdge& edge : problem.edges)
    seconds += edge.seconds[chosen(edge.from)][chosen(edge.to)];
  return seconds;
}

int64_t bytes_of(const SearchProblem& problem, const std::vector<int>& choices) {
  int64_t bytes = 0;
  for (size_t i = 0; i < problem.layers.size(); ++i)
    bytes += problem.layers[i].choices[static_cast<size_t>(choices[i])].bytes;
  return bytes;
}

int64_t least_bytes(const SearchLayer& layer) {
  int64_t least = INT64_MAX;
  for (const Choice& choice : layer.choices)
    if (choice.seconds < infinity)
      least = std::min(least, choice.bytes);
  return least < INT64_MAX ? least : 0;
}

std::vector<SearchResult> k_best(const SearchProblem& problem, int k) {
  check(problem);
  NETC_CHECK(k > 0, "a search for the {} best", k);
  int64_t spare = problem.memory_limit ? problem.memory_limit : INT64_MAX;
  for (const SearchLayer& layer : problem.layers)
    spare -= least_bytes(layer);
  std::vector<SearchResult> results;
  if (spare < 0)
    return results;
  const Selection selection(k, spare);
  for (const Label& label : Reduction(problem, selection).solve()) {
    if (results.size() == static_cast<size_t>(k))
      break;
    SearchResult result{{label.choices.begin(), label.choices.end()}, 0, 0};
    result.seconds = evaluate(problem, result.choices);
    result.bytes = bytes_of(problem, result.choices);
    // The tables add in another order, and nothing else may differ.
    NETC_CHECK(std::abs(result.seconds - label.seconds) <= 1e-9 * label.seconds,
               "the search has {}, its assignment costs {}", label.seconds, result.seconds);
    results.push_back(std::move(result));
  }
  return results;
}

SearchResult best(const SearchProblem& problem) {
  if (std::vector<SearchResult> results = k_best(problem, 1); !results.empty())
    return results.front();
  std::vector<SearchResult> smallest = k_best(bytes_alone(problem), 1);
  return {{}, infinity, smallest.empty() ? -1 : smallest.front().bytes};
}

std::vector<SearchResult> explain(const SearchProblem& problem, int layer) {
  std::vector<SearchResult> results;
  const auto& choices = problem.layers.at(static_cast<size_t>(layer)).choices;
  for (size_t forced = 0; forced < choices.size(); ++forced) {
    SearchProblem one = problem;
    for (size_t i = 0; i < choices.size(); ++i)
      if (i != forced)
        one.layers[static_cast<size_t>(layer)].choices[i].seconds = infinity;
    results.push_back(best(one));
  }
  return results;
}

} // namespace netc
