// The exact search against trying everything, and what must hold of any search.

#include "ir/support/error.h"
#include "passes/partition/search.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>

namespace netc {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

enum class Form { chain, series_parallel, any };

/// Problems drawn at random. Costs are whole numbers, so that sums are exact in any order.
class Draw {
public:
  explicit Draw(uint64_t seed) : random_(seed) {}

  int between(int lo, int hi) {
    return lo + static_cast<int>(random_() % static_cast<uint64_t>(hi - lo + 1));
  }
  bool chance(int percent) { return between(1, 100) <= percent; }

  /// At most 8 layers with at most 6 choices each, 2000 assignments in all, legal or not.
  SearchProblem small(Form form) {
    range_ = chance(50) ? 4 : 1 << 30; // few different costs: many ties
    illegal_ = chance(50) ? 0 : between(1, 35);
    std::vector<int> choices(static_cast<size_t>(between(1, 8)), 1);
    for (int assignments = 1; int& count : choices) {
      count = between(1, 6);
      while (assignments * count > 2000)
        --count;
      assignments *= count;
    }
    SearchProblem problem = make(form, choices);
    if (chance(50))
      problem.memory_limit = between(1, 16 * static_cast<int>(choices.size()));
    return problem;
  }

  SearchProblem large(Form form, size_t layers, int choices) {
    range_ = 1 << 30;
    bytes_ = 1 << 24;
    return make(form, std::vector<int>(layers, choices));
  }

private:
  using Ends = std::vector<std::pair<int, int>>;

  SearchProblem make(Form form, const std::vector<int>& choices) {
    SearchProblem problem;
    for (int count : choices) {
      problem.layers.push_back({fmt::format("layer{}", problem.layers.size()), {}});
      for (int c = 0; c < count; ++c)
        problem.layers.back().choices.push_back(
            {fmt::format("{}", c), seconds(), between(0, bytes_)});
    }
    const auto layers = static_cast<int>(choices.size());
    for (auto [from, to] : form == Form::chain             ? chain(layers)
                           : form == Form::series_parallel ? series_parallel(layers)
                                                           : any(layers))
      add_edge(problem, from, to);
    return problem;
  }

  double seconds() { return chance(illegal_) ? infinity : between(0, range_); }

  static Ends chain(int layers) {
    Ends ends;
    for (int i = 1; i < layers; ++i)
      ends.push_back({i - 1, i});
    return ends;
  }

  /// From one edge: each new layer goes between the ends of one, in its place or beside it.
  Ends series_parallel(int layers) {
    if (layers < 2)
      return {};
    Ends ends = {{0, 1}};
    for (int i = 2; i < layers; ++i) {
      const auto at = static_cast<size_t>(between(0, static_cast<int>(ends.size()) - 1));
      const auto [from, to] = ends[at];
      if (chance(40))
        ends.push_back({from, to});
      ends[at] = {from, i};
      ends.push_back({i, to});
    }
    return ends;
  }

  Ends any(int layers) {
    Ends ends;
    const int percent = between(10, 100);
    for (int from = 0; from < layers; ++from)
      for (int to = from + 1; to < layers; ++to)
        for (int i = 0; i < 2; ++i)
          if (chance(i ? percent / 8 : percent))
            ends.push_back({from, to});
    return ends;
  }

  void add_edge(SearchProblem& problem, int from, int to) {
    SearchEdge edge{from, to, {}};
    for (size_t i = 0; i < problem.layers[static_cast<size_t>(from)].choices.size(); ++i) {
      edge.seconds.emplace_back();
      for (size_t j = 0; j < problem.layers[static_cast<size_t>(to)].choices.size(); ++j)
        edge.seconds.back().push_back(seconds());
    }
    problem.edges.push_back(std::move(edge));
  }

  std::mt19937_64 random_;
  int range_ = 4;
  int bytes_ = 20;
  int illegal_ = 0;
};

std::string text(const SearchProblem& problem) {
  std::string out = fmt::format("limit {}", problem.memory_limit);
  for (const SearchLayer& layer : problem.layers) {
    out += "\n" + layer.name;
    for (const Choice& choice : layer.choices)
      out += fmt::format(" {}/{}", choice.seconds, choice.bytes);
  }
  for (const SearchEdge& edge : problem.edges)
    for (const auto& row : edge.seconds)
      out += fmt::format("\n{}->{} {}", edge.from, edge.to, fmt::join(row, " "));
  return out;
}

/// The least bytes of any legal assignment, by trying all; -1 where none is legal.
int64_t least_of_all(SearchProblem problem) {
  problem.memory_limit = 0;
  int64_t least = -1;
  for (const SearchResult& r : brute_force(problem, 1 << 20).best)
    if (least < 0 || r.bytes < least)
      least = r.bytes;
  return least;
}

void expect_heuristics_lose(const SearchProblem& problem, const SearchResult& best, int tries) {
  for (const SearchResult& found :
       {greedy(problem), random_search(problem, tries, 7), anneal(problem, tries, 7)}) {
    EXPECT_GE(found.seconds, best.seconds);
    if (!found.feasible())
      continue;
    EXPECT_TRUE(best.feasible());
    EXPECT_EQ(found.seconds, evaluate(problem, found.choices));
    EXPECT_TRUE(!problem.memory_limit || found.bytes <= problem.memory_limit);
  }
}

/// Forcing choices costs something, unless they are those of the best; one of them always is.
void expect_explained(const SearchProblem& problem, const SearchResult& best, int layer) {
  double least = infinity;
  std::vector<SearchResult> forced = explain(problem, layer);
  for (size_t i = 0; i < forced.size(); ++i) {
    EXPECT_GE(forced[i].seconds, best.seconds);
    least = std::min(least, forced[i].seconds);
    if (forced[i].feasible()) {
      EXPECT_EQ(forced[i].choices[static_cast<size_t>(layer)], static_cast<int>(i));
    }
  }
  EXPECT_EQ(least, best.seconds);
  if (best.feasible()) {
    EXPECT_EQ(forced[static_cast<size_t>(best.choices[static_cast<size_t>(layer)])], best);
  }
}

/// Taking a choice away makes nothing cheaper.
void expect_larger_sets_help(SearchProblem problem, const SearchResult& best, int layer) {
  auto& choices = problem.layers[static_cast<size_t>(layer)].choices;
  if (choices.size() < 2)
    return;
  choices.pop_back();
  for (SearchEdge& edge : problem.edges) {
    if (edge.from == layer)
      edge.seconds.pop_back();
    if (edge.to == layer)
      for (auto& row : edge.seconds)
        row.pop_back();
  }
  EXPECT_GE(netc::best(problem).seconds, best.seconds);
}

TEST(Search, FindsWhatTryingEverythingFinds) {
  constexpr int problems = 6000;
  int64_t assignments = 0;
  int infeasible = 0, impossible = 0, limited = 0, beaten = 0;
  for (int i = 0; i < problems; ++i) {
    Draw draw(static_cast<uint64_t>(i));
    SearchProblem problem = draw.small(static_cast<Form>(i % 3));
    SCOPED_TRACE(fmt::format("problem {}\n{}", i, text(problem)));
    const int k = draw.chance(10) ? 5000 : draw.between(1, 12);
    BruteForce all = brute_force(problem, k);
    assignments += all.legal;
    SearchResult found = best(problem);
    ASSERT_EQ(found.feasible(), !all.best.empty());
    ASSERT_EQ(k_best(problem, k), all.best);
    if (found.feasible()) {
      ASSERT_EQ(found, all.best.front());
      ASSERT_EQ(found.seconds, evaluate(problem, found.choices));
      SearchProblem free = problem;
      free.memory_limit = 0;
      limited += best(free).seconds < found.seconds;
    } else {
      ASSERT_EQ(found.seconds, infinity);
      ASSERT_EQ(found.bytes, least_of_all(problem));
      ++(all.legal ? infeasible : impossible);
    }
    expect_heuristics_lose(problem, found, 40);
    beaten += greedy(problem).seconds > found.seconds;
    const int layer = draw.between(0, static_cast<int>(problem.layers.size()) - 1);
    expect_explained(problem, found, layer);
    expect_larger_sets_help(problem, found, layer);
    if (HasFailure())
      return;
  }
  fmt::print("{} problems, {} legal assignments; {} too large, {} illegal, {} dearer for their "
             "limit, {} where greedy loses\n",
             problems, assignments, infeasible, impossible, limited, beaten);
  for (int count : {infeasible, impossible, limited, beaten})
    EXPECT_GT(count, problems / 100);
}

TEST(Search, TiesGoToTheLowestChoices) {
  SearchProblem problem;
  for (int i = 0; i < 3; ++i)
    problem.layers.push_back({"l", {{"a", 1, 5}, {"b", 1, 3}, {"c", 1, 3}}});
  EXPECT_EQ(best(problem).choices, (std::vector<int>{0, 0, 0}));
  problem.memory_limit = 11;
  EXPECT_EQ(best(problem).choices, (std::vector<int>{0, 1, 1}));
  std::vector<SearchResult> some = k_best(problem, 3);
  EXPECT_EQ(some[1].choices, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(some[2].choices, (std::vector<int>{0, 2, 1}));
}

TEST(Search, SaysWhatMemoryIsNeeded) {
  SearchProblem problem;
  problem.layers = {{"a", {{"fast", 1, 100}, {"small", 9, 10}}},
                    {"b", {{"fast", 1, 100}, {"small", 9, 10}}}};
  problem.edges = {{0, 1, {{0, 0}, {0, infinity}}}};
  problem.memory_limit = 109;
  SearchResult none = best(problem);
  EXPECT_FALSE(none.feasible());
  EXPECT_EQ(none.seconds, infinity);
  EXPECT_EQ(none.bytes, 110);
  problem.memory_limit = 110;
  EXPECT_EQ(best(problem), (SearchResult{{0, 1}, 10, 110}));
  problem.edges[0].seconds = {{infinity, infinity}, {infinity, infinity}};
  EXPECT_EQ(best(problem).bytes, -1);
}

TEST(Search, RefusesWhatMakesNoSense) {
  SearchProblem problem;
  EXPECT_THROW(best(problem), InternalError);
  problem.layers = {{"a", {{"x", 1, 1}}}, {"b", {{"x", 1, 1}}}};
  EXPECT_TRUE(best(problem).feasible());
  for (const SearchEdge& edge :
       {SearchEdge{0, 0, {{0}}}, SearchEdge{0, 2, {{0}}}, SearchEdge{0, 1, {{0, 0}}},
        SearchEdge{0, 1, {{-1}}}, SearchEdge{0, 1, {{std::nan("")}}}}) {
    problem.edges = {edge};
    EXPECT_THROW(best(problem), InternalError);
  }
  problem.edges.clear();
  problem.layers[0].choices[0].bytes = -1;
  EXPECT_THROW(best(problem), InternalError);
}

/// The cheapest way along a chain without a limit, by the recurrence of textbooks.
double shortest_path(const SearchProblem& chain) {
  std::vector<double> reach;
  for (size_t layer = 0; layer < chain.layers.size(); ++layer) {
    std::vector<double> next;
    for (size_t j = 0; j < chain.layers[layer].choices.size(); ++j) {
      double least = layer ? infinity : 0;
      for (size_t i = 0; i < reach.size(); ++i)
        least = std::min(least, reach[i] + chain.edges[layer - 1].seconds[i][j]);
      next.push_back(least + chain.layers[layer].choices[j].seconds);
    }
    reach = std::move(next);
  }
  return *std::min_element(reach.begin(), reach.end());
}

/// Searches for the k best, prints how long that took, and returns the best.
SearchResult search_large(const char* what, const SearchProblem& problem, int k) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<SearchResult> found = k_best(problem, k);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{}, the {} best{}: {:.3f} s\n", what, k,
             problem.memory_limit ? " within three quarters of the memory" : "", took.count());
  EXPECT_EQ(found.size(), static_cast<size_t>(k));
  for (size_t i = 1; i < found.size(); ++i) {
    EXPECT_LE(found[i - 1].seconds, found[i].seconds);
    EXPECT_NE(found[i - 1].choices, found[i].choices);
  }
  expect_heuristics_lose(problem, found.front(), 2000);
  return found.front();
}

TEST(Search, LongChainsAndLargeNetworks) {
  SearchProblem chain = Draw(1).large(Form::chain, 24, 8);
  SearchProblem network = Draw(2).large(Form::series_parallel, 60, 8);
  SearchResult best_chain = search_large("a chain of 24 layers", chain, 50);
  SearchResult best_network = search_large("60 layers in series and parallel", network, 50);
  EXPECT_EQ(best_chain.seconds, shortest_path(chain));
  chain.memory_limit = best_chain.bytes * 3 / 4;
  network.memory_limit = best_network.bytes * 3 / 4;
  EXPECT_GT(search_large("a chain of 24 layers", chain, 50).seconds, best_chain.seconds);
  EXPECT_GT(search_large("60 layers in series and parallel", network, 1).seconds,
            best_network.seconds);
}

} // namespace
} // namespace netc
