// compile_network: what a plan folder holds, that it is the same each time, that it needs no
// compiler to run.

#include "ir/ops.h"
#include "tests/driver/driver_support.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

TEST(Compile, LenetTwiceGivesTheSameBytes) {
  TemporaryFolder folder;
  NetworkSource lenet = bundled("lenet");
  Compiled first = compile_into(lenet, test_options(), folder / "a");
  Compiled second = compile_into(lenet, test_options(), folder / "b");
  std::map<std::string, std::string> a = files_below(folder / "a"), b = files_below(folder / "b");
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, bytes] : a) {
    ASSERT_TRUE(b.count(name)) << name;
    EXPECT_TRUE(b[name] == bytes) << name;
    EXPECT_THAT(bytes, testing::Not(HasSubstr(folder.path().string()))) << name;
  }
  EXPECT_EQ(second.stats.misses, 0);
  EXPECT_EQ(second.stats.hits, static_cast<int>(first.plan.kernels.size()));
  EXPECT_EQ(first.stats.hits + first.stats.misses, second.stats.hits);
}

TEST(Compile, FolderHoldsGraphsProgramsAndEveryKernel) {
  TemporaryFolder folder;
  Compiled compiled = compile_into(source_of(tiny_network()), test_options(), folder / "p");
  std::map<std::string, std::string> files = files_below(folder / "p");
  for (const char* name : {"plan.json", "state.txt", "train.graph.txt", "eval.graph.txt",
                           "train.program.txt", "eval.program.txt"})
    EXPECT_TRUE(files.count(name)) << name;
  std::set<std::string> launched;
  for (const Program& program : compiled.plan.programs)
    for (const Step& step : program.steps)
      launched.insert(step.kernel);
  EXPECT_EQ(launched.size(), compiled.plan.kernels.size());
  for (const PlanKernel& kernel : compiled.plan.kernels) {
    EXPECT_TRUE(launched.count(kernel.name)) << kernel.name;
    for (const char* suffix : {".cpp", ".so"})
      EXPECT_FALSE(files["kernels/" + kernel.name + suffix].empty()) << kernel.name << suffix;
    EXPECT_THAT(files["kernels/" + kernel.name + ".cpp"], HasSubstr("(tiny.yaml:")) << kernel.name;
  }
  for (const char* program : {"train", "eval"}) {
    const std::string text = files[std::string(program) + ".graph.txt"];
    EXPECT_EQ(print(parse_graph(text)), text);
    EXPECT_NO_THROW(verify(parse_graph(text)));
  }
}

TEST(Compile, PlansReadBackAsTheyWereWritten) {
  TemporaryFolder folder;
  Compiled compiled = compile_into(source_of(tiny_network()), test_options(), folder / "p");
  Plan plan = read_plan(folder / "p");
  fs::create_directory(folder / "again");
  write_plan(plan, folder / "again");
  for (const auto& [name, bytes] : files_below(folder / "again"))
    EXPECT_EQ(bytes, read_text(folder / "p" / name)) << name;
  EXPECT_EQ(plan.state, compiled.plan.state);
  EXPECT_EQ(plan.batch, 16);
  EXPECT_EQ(plan.threads, 2);
  EXPECT_EQ(plan.recipe.classes, 10);
  EXPECT_EQ(recipe_json(plan.recipe), recipe_json(compiled.plan.recipe));
  ASSERT_EQ(plan.programs.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(print(plan.programs[i]), print(compiled.plan.programs[i]));
    EXPECT_NO_THROW(verify(plan.programs[i]));
  }
  fs::remove(folder / "again" / "plan.json");
  EXPECT_THROW(read_plan(folder / "again"), UserError);
}

TEST(Compile, ReplacesPlansAndNothingElse) {
  TemporaryFolder folder;
  NetworkSource source = source_of(tiny_network());
  CompileOptions options = test_options();
  compile_into(source, options, folder / "p");
  fs::rename(folder / "p" / "plan.json", folder / "p" / "plan.unfinished"); // killed meanwhile
  options.train = false;
  compile_into(source, options, folder / "p");
  EXPECT_FALSE(fs::exists(folder / "p" / "train.program.txt"));
  EXPECT_EQ(read_plan(folder / "p").programs.size(), 1u);
  fs::create_directory(folder / "mine");
  std::ofstream(folder / "mine" / "thesis.txt") << "years of work";
  EXPECT_THROW(compile_into(source, options, folder / "mine"), UserError);
  EXPECT_EQ(files_below(folder / "mine").size(), 1u);
  std::ofstream(folder / "file") << "text";
  EXPECT_THROW(compile_into(source, options, folder / "file"), UserError);
}

TEST(Compile, WithoutACompilerThePlanStillRuns) {
  TemporaryFolder folder;
  compile_into(source_of(tiny_network()), test_options(), folder / "p");
  int code = run_child([&] {
    setenv("PATH", "", 1);
    try {
      CpuToolchain toolchain(kernel_cache());
      return 1;
    } catch (const RuntimeError& error) {
      if (std::string(error.what()).find("no C++ compiler") == std::string::npos ||
          error.hint().empty())
        return 2;
    }
    Session session(read_plan(folder / "p"), folder / "p");
    session.initialize(1);
    session.run("train");
    session.run("eval");
    return std::isfinite(session.buffer_of<float>("eval", "loss")[0]) ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST(Compile, DamagedPlansAreNamed) {
  TemporaryFolder folder;
  Compiled compiled = compile_into(source_of(tiny_network()), test_options(), folder / "p");
  Plan plan = read_plan(folder / "p");
  fs::path kernel = folder / "p" / "kernels" / (plan.kernels[0].name + ".so");
  std::ofstream(kernel) << "nonsense";
  try {
    Session session(plan, folder / "p");
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr(plan.kernels[0].name));
    EXPECT_EQ(error.hint(), "compile the network again");
  }
  std::ofstream(folder / "p" / "plan.json") << "{";
  EXPECT_THROW(read_plan(folder / "p"), UserError);
}

/// Values of a program's arena that are alive together lie apart; results in place only where the
/// node before has read.
TEST(Compile, PlannedArenaOfTheBundledModels) {
  for (const std::string& name : bundled_models()) {
    NetworkSource source = bundled(name);
    CompileOptions options = test_options();
    LoweringOptions lowering = lowering_options(options);
    std::ostringstream dump;
    for (Mode mode : {Mode::train, Mode::infer}) {
      options.pipeline.verify_each = true;
      PassedGraph passed = run_passes(source.network, mode, options, lowering, dump);
      const MemoryPlan& memory = passed.context.memory;
      double above = 100.0 * static_cast<double>(memory.arena_bytes - memory.lower_bound_bytes) /
                     static_cast<double>(memory.lower_bound_bytes);
      RecordProperty(name, fmt::format("{:.2f}", above));
      fmt::print("{} {}: arena {} bytes, lower bound {} ({:.2f} % above)\n", name,
                 mode == Mode::train ? "train" : "eval", memory.arena_bytes,
                 memory.lower_bound_bytes, above);
      EXPECT_GE(memory.arena_bytes, memory.lower_bound_bytes);
      EXPECT_LE(above, 1) << name;
    }
  }
}

} // namespace
} // namespace netc::test
