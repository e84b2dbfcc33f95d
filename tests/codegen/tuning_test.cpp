// The tuner: what it measures, keeps, obeys and refuses. A hook of the tests measures.

#include "codegen/tuning.h"
#include "ir/ops.h"
#include "tests/runtime/temporary_folder.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// A graph of one linear layer, `fc`, of 64 x 512 -> 256.
Graph layer() {
  Graph graph("layer");
  GraphBuilder builder(graph);
  auto tensor = [&](const OpDef& op, const char* name, std::vector<int64_t> shape) {
    return builder.value(op, name, {}, {{"shape", std::move(shape)}});
  };
  Value* x =
      builder.value(ops::feed, "x", {},
                    {{"shape", std::vector<int64_t>{64, 512}}, {"dtype", std::string("f32")}});
  Value* w = tensor(ops::parameter, "w", {256, 512});
  graph.outputs.push_back({"y", builder.value(ops::linear, "fc", {x, w})});
  return graph;
}

class Tuning : public testing::Test {
protected:
  Tuner::Options options(const std::string& target = "cuda:sm_90") {
    return {.machine = "sm_90",
            .lowering = {.target = parse_target(target),
                         .exact = false,
                         .threads = 2,
                         .choose = nullptr},
            .frozen = false,
            .measure = [this](const ContractionUse&, const std::vector<std::string>& names) {
              std::vector<Trial> trials;
              for (size_t i = 0; i < names.size(); ++i)
                trials.push_back({names[i], ms_[i], errors_[i]});
              measured_.insert(measured_.end(), names.begin(), names.end());
              return trials;
            }};
  }
  const Node& fc() const { return *graph_.find("fc")->node; }
  std::string key() const {
    return tuning_key({fc()}, {.target = parse_target("cuda:sm_90"), .choose = nullptr}, "sm_90");
  }

  Graph graph_ = layer();
  std::vector<std::string> measured_;
  std::vector<double> ms_ = std::vector<double>(64, 1.0), errors_ = std::vector<double>(64, 1e-4);
};

TEST_F(Tuning, KeysNameAllThatCounts) {
  EXPECT_EQ(key(), "linear_forward 64x512->256 | sm_90, tf32");
  EXPECT_EQ(tuning_key({fc(), DType::bf16},
                       {.target = parse_target("cuda:sm_90"), .choose = nullptr}, "sm_90"),
            key() + ", bf16 result");
  EXPECT_EQ(
      tuning_key({fc()}, {.target = parse_target("cpu"), .threads = 1, .choose = nullptr}, "avx2"),
      "linear_forward 64x512->256 | avx2, 1 thread");
}

TEST_F(Tuning, TheFastestOfTheFirstCandidatesIsChosen) {
  ms_[2] = 0.5;
  Tuner tuner({}, options());
  const std::vector<std::string> names = candidate_names({fc()}, options().lowering);
  ASSERT_GT(names.size(), 9u);
  EXPECT_EQ(tuner.choose({fc()}), names[2]);
  std::vector<std::string> expected(names.begin(), names.begin() + 8);
  expected.push_back("cublaslt"); // it is the last of all
  EXPECT_EQ(measured_, expected);
  EXPECT_EQ(tuner.choose({fc()}), names[2]);
  EXPECT_EQ(measured_.size(), 9u) << "measured again";
}

TEST_F(Tuning, LibrariesDoNotWriteBf16) {
  Tuner tuner({}, options());
  tuner.choose({fc(), DType::bf16});
  EXPECT_EQ(measured_.size(), 8u);
  EXPECT_THAT(measured_, testing::Not(testing::Contains("cublaslt")));
}

TEST_F(Tuning, WhoErrsIsOut) {
  ms_[1] = 0.1, ms_[3] = 0.2;
  errors_[1] = 0.1;
  Tuner tuner({}, options());
  EXPECT_EQ(tuner.choose({fc()}), candidate_names({fc()}, options().lowering)[3]);
}

TEST_F(Tuning, WhereAllErrTheDefaultStays) {
  ms_[2] = 0.5;
  errors_.assign(64, 1);
  Tuner tuner({}, options());
  EXPECT_EQ(tuner.choose({fc()}), candidate_names({fc()}, options().lowering).front());
  EXPECT_EQ(measured_.size(), 9u);
  ASSERT_TRUE(tuner.table().find(key()));
  EXPECT_EQ(tuner.table().find(key())->trials.size(), 9u);
}

TEST_F(Tuning, TablesAreObeyedAndReadBack) {
  ms_[4] = 0.5;
  Tuner first({}, options());
  const std::string chosen = first.choose({fc()});
  const std::string text = first.table().str();
  EXPECT_EQ(TuningTable::parse(text, "t").str(), text);
  Tuner::Options obeying = options();
  obeying.measure = nullptr;
  obeying.frozen = true;
  Tuner second(TuningTable::parse(text, "t"), obeying);
  EXPECT_EQ(second.choose({fc()}), chosen);
  EXPECT_EQ(measured_.size(), 9u);
}

TEST_F(Tuning, LibrariesAreChosenWhereTheyAreFastest) {
  ms_[8] = 0.5;
  Tuner tuner({}, options());
  EXPECT_EQ(tuner.choose({fc()}), "cublaslt");
  const std::string text = tuner.table().str();
  Tuner::Options obeying = options();
  obeying.measure = nullptr;
  Tuner second(TuningTable::parse(text, "t"), obeying);
  EXPECT_EQ(second.choose({fc()}), "cublaslt");
}

TEST_F(Tuning, LibrariesThatWereNotMeasuredAreNotMissed) {
  Tuner::Options without = options();
  without.measure = [&, all = without.measure](const ContractionUse& use,
                                               std::vector<std::string> names) {
    names.pop_back();
    return all(use, names);
  };
  Tuner tuner({}, without);
  EXPECT_EQ(tuner.choose({fc()}), candidate_names({fc()}, options().lowering).front());
  EXPECT_EQ(tuner.table().find(key())->trials.size(), 8u);
}

TEST_F(Tuning, FrozenTablesLackNothing) {
  Tuner::Options frozen = options();
  frozen.frozen = true;
  Tuner tuner({}, frozen);
  EXPECT_THAT(error_of<UserError>([&] { tuner.choose({fc()}); }),
              HasSubstr("no entry for `linear_forward 64x512->256 | sm_90, tf32`"));
}

TEST_F(Tuning, UnknownChoicesAreTheTablesMistake) {
  TuningTable table;
  table.set(key(), {"100x100 stages 9 splits 1", {}});
  Tuner::Options obeying = options();
  obeying.measure = nullptr;
  EXPECT_THAT(error_of<UserError>([&] { Tuner(table, obeying).choose({fc()}); }),
              HasSubstr("chooses `100x100 stages 9 splits 1`"));
  EXPECT_THAT(error_of<UserError>([] { TuningTable::parse("{", "t.json"); }),
              HasSubstr("`t.json` is no tuning table"));
}

TEST_F(Tuning, UnknownChoicesAreMeasuredAnew) {
  TuningTable table;
  table.set(key(), {"100x100 stages 9 splits 1", {}});
  Tuner::Options frozen = options();
  frozen.frozen = true;
  EXPECT_THAT(error_of<UserError>([&] { Tuner(table, frozen).choose({fc()}); }),
              HasSubstr("which is no candidate"));
  ms_[2] = 0.5;
  Tuner tuner(table, options());
  EXPECT_EQ(tuner.choose({fc()}), candidate_names({fc()}, options().lowering)[2]);
  EXPECT_EQ(tuner.table().find(key())->trials.size(), 9u);
}

TEST_F(Tuning, WithoutAHookTheDefaultRuleDecides) {
  Tuner::Options none = options();
  none.measure = nullptr;
  Tuner tuner({}, none);
  EXPECT_EQ(tuner.choose({fc()}), "");
  EXPECT_TRUE(tuner.table().empty());
}

} // namespace
} // namespace netc::test
