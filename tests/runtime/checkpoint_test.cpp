#include "runtime/train/checkpoint.h"

#include "ir/support/error.h"
#include "tests/runtime/child_process.h"
#include "tests/runtime/temporary_folder.h"

#include <sys/resource.h>

namespace netc {
namespace {

namespace fs = std::filesystem;

TrainingState state_at(int64_t step) {
  TrainingState state;
  state.network = "lenet";
  state.network_hash = "0123abcd";
  state.step = step;
  state.seed = 18446744073709551615u;
  state.schedule = "plateau drops=1 waited=2 best=0.41 finished=0";
  state.more = {{"mean", "123.5 116.25 103.1"}, {"class_names", "[\"Fuß\"]"}};
  return state;
}

/// Writes a checkpoint of one tensor whose elements are its step.
fs::path save(const fs::path& folder, int64_t step, int64_t elements = 4) {
  std::vector<float> weights(static_cast<size_t>(elements), static_cast<float>(step));
  return save_checkpoint(folder, state_at(step),
                         {{"fc.weight", {DType::f32, {elements}}, weights.data()}});
}

std::vector<int64_t> steps_in(const fs::path& folder) {
  std::vector<int64_t> steps;
  for (const CheckpointFile& file : list_checkpoints(folder))
    steps.push_back(file.step);
  return steps;
}

TEST(Checkpoint, RoundTripsTheState) {
  TemporaryFolder folder;
  fs::path path = save(folder.path(), 12);
  EXPECT_EQ(path.filename(), "step-00000012.safetensors");
  Checkpoint checkpoint = open_checkpoint(path);
  EXPECT_EQ(checkpoint.state, state_at(12));
  float weights[4];
  checkpoint.file.read("fc.weight", {DType::f32, {4}}, weights);
  EXPECT_EQ(weights[3], 12.0f);
}

TEST(Checkpoint, SameStateSameBytesInAnyFolder) {
  TemporaryFolder one, two;
  EXPECT_EQ(read_file(save(one.path(), 3)), read_file(save(two.path(), 3)));
  EXPECT_NE(read_file(save(one.path(), 3)), read_file(save(two.path(), 4)));
}

TEST(Checkpoint, ListsByStepAndIgnoresOtherFiles) {
  TemporaryFolder folder;
  for (int64_t step : {200, 0, 123456789, 30})
    save(folder.path(), step);
  for (const char* other : {"step-12.safetensors", "step-00000x12.safetensors", "best.safetensors",
                            "step-00000001.safetensors.tmp-1-0", "step--0000001.safetensors",
                            "metrics.csv", "step-000000012.safetensors"})
    write_file_atomically(folder / other, "x");
  EXPECT_EQ(steps_in(folder.path()), (std::vector<int64_t>{0, 30, 200, 123456789}));
}

TEST(Checkpoint, NewestIsTaken) {
  TemporaryFolder folder;
  Diagnostics warnings;
  EXPECT_FALSE(open_newest_checkpoint(folder.path(), warnings));
  save(folder.path(), 1);
  save(folder.path(), 2);
  EXPECT_EQ(open_newest_checkpoint(folder.path(), warnings)->state.step, 2);
  EXPECT_TRUE(warnings.all().empty());
}

TEST(Checkpoint, DamagedNewestIsSkippedWithAWarning) {
  TemporaryFolder folder;
  save(folder.path(), 1);
  fs::path newest = save(folder.path(), 2);
  fs::resize_file(newest, fs::file_size(newest) - 1);
  Diagnostics warnings;
  EXPECT_EQ(open_newest_checkpoint(folder.path(), warnings)->state.step, 1);
  std::string text = warnings.render();
  EXPECT_NE(text.find("warning: skipped the damaged checkpoint `"), text.npos) << text;
  EXPECT_NE(text.find("it is incomplete"), text.npos) << text;
  EXPECT_FALSE(warnings.has_errors());
}

TEST(Checkpoint, AWrongNameIsDamageToo) {
  TemporaryFolder folder;
  save(folder.path(), 1);
  fs::copy_file(folder / "step-00000001.safetensors", folder / "step-00000009.safetensors");
  Diagnostics warnings;
  EXPECT_EQ(open_newest_checkpoint(folder.path(), warnings)->state.step, 1);
  EXPECT_NE(warnings.render().find("it holds step 1"), std::string::npos);
}

TEST(Checkpoint, OnlyDamagedOnesIsAnError) {
  TemporaryFolder folder;
  write_file_atomically(folder / checkpoint_name(5), "garbage");
  Diagnostics warnings;
  std::string text = error_of<UserError>([&] { open_newest_checkpoint(folder.path(), warnings); });
  EXPECT_NE(text.find("is usable, 1 is damaged"), text.npos) << text;
}

TEST(Checkpoint, ForeignFilesAreNamed) {
  TemporaryFolder folder;
  const float one = 1;
  write_safetensors(folder / "x", {{"w", {DType::f32, {}}, &one}}, {{"format", "pt"}});
  std::string text = error_of<UserError>([&] { open_checkpoint(folder / "x"); });
  EXPECT_NE(text.find("is not a checkpoint of netc: its format is `pt`"), text.npos) << text;
  write_safetensors(folder / "x", {{"w", {DType::f32, {}}, &one}}, {});
  text = error_of<UserError>([&] { open_checkpoint(folder / "x"); });
  EXPECT_NE(text.find("its metadata has no `format`"), text.npos) << text;
}

TEST(Checkpoint, ReservedKeysAreAnInternalError) {
  TemporaryFolder folder;
  TrainingState state = state_at(1);
  state.more["step"] = "2";
  EXPECT_THROW(save_checkpoint(folder.path(), state, {}), InternalError);
}

TEST(Checkpoint, PruneKeepsTheNewestAndRemovesLeftovers) {
  TemporaryFolder folder;
  for (int64_t step = 1; step <= 5; ++step)
    save(folder.path(), step);
  write_file_atomically(folder / "step-00000003.safetensors.tmp-77-0", "half");
  write_file_atomically(folder / "other.safetensors.tmp-77-0", "not ours");
  std::vector<CheckpointFile> removed = prune_checkpoints(folder.path(), 2);
  EXPECT_EQ(removed.size(), 3u);
  EXPECT_EQ(steps_in(folder.path()), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(folder.entries(), 3);
  EXPECT_TRUE(prune_checkpoints(folder.path(), 2).empty());
}

TEST(Checkpoint, FullDiskLosesNothing) {
  TemporaryFolder folder;
  save(folder.path(), 1);
  EXPECT_EQ(run_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              rlimit limit = {4096, 4096};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              try {
                save(folder.path(), 2, 100'000);
              } catch (const RuntimeError&) {
                return 0;
              }
              return 1;
            }),
            0);
  EXPECT_EQ(folder.entries(), 1);
  Diagnostics warnings;
  EXPECT_EQ(open_newest_checkpoint(folder.path(), warnings)->state.step, 1);
}

TEST(Checkpoint, KilledAtAnyByteLeavesTheOlderOnes) {
  TemporaryFolder folder;
  save(folder.path(), 0);
  for (rlim_t bytes = 0; bytes < 4000; bytes += 190) {
    // The kernel kills a writer that exceeds this limit, exactly there.
    EXPECT_EQ(run_child([&] {
                rlimit no_core = {0, 0}, limit = {bytes, bytes};
                ::setrlimit(RLIMIT_CORE, &no_core);
                ::setrlimit(RLIMIT_FSIZE, &limit);
                save(folder.path(), 1, 1000);
                return 0;
              }),
              -SIGXFSZ);
    Diagnostics warnings;
    std::optional<Checkpoint> newest = open_newest_checkpoint(folder.path(), warnings);
    ASSERT_TRUE(newest);
    EXPECT_EQ(newest->state.step, 0);
    EXPECT_TRUE(warnings.all().empty()) << warnings.render();
  }
  EXPECT_GT(folder.entries(), 1) << "what the killed writers left behind";
  prune_checkpoints(folder.path());
  EXPECT_EQ(folder.entries(), 1);
}

} // namespace
} // namespace netc
