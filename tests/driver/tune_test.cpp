// `--tune` on devices: contractions are measured there, once, and the plan is made of what won.

#include "tests/driver/driver_support.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace netc::test {
namespace {

using testing::HasSubstr;

class Tune : public testing::Test {
protected:
  void SetUp() override {
    std::string text = tiny_network();
    text.replace(text.find("batch: 16"), 9, "batch: 2");
    std::ofstream(folder_ / "tiny.yaml") << text;
  }
  Outcome compile(const std::string& arguments) {
    return run_netc(
        words_of("compile tiny.yaml -o plan --cache " + kernel_cache().string() + " " + arguments),
        folder_.path());
  }
  nlohmann::json table() const {
    return nlohmann::json::parse(read_text(folder_ / "plan/tuning.json")).at("contractions");
  }
  TemporaryFolder folder_;
};

TEST_F(Tune, TilingsAreMeasuredOnTheEmulator) {
  Outcome tuned = compile("--target emu --tune --mode infer");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const std::string key =
      "linear_forward 2x512->10 | emu, tf32, rounded operands"; // 8 channels of 8 x 8 pixels
  ASSERT_TRUE(table().contains(key)) << table().dump(2);
  EXPECT_GT(table()[key]["measured"].size(), 3u);
  for (const auto& trial : table()[key]["measured"]) {
    EXPECT_LT(trial["relative_error"], 2e-3);
    EXPECT_GT(trial["ms"], 0);
  }
  const std::string before = read_text(folder_ / "plan/tuning.json");
  Outcome again = compile("--target emu --tune --mode infer");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_text(folder_ / "plan/tuning.json"), before) << "measured again";
  EXPECT_EQ(compile("--target emu --frozen --mode infer").code, 0);
  Outcome missing = compile("--target emu --frozen");
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("the tuning table has no entry for `"));
}

TEST_F(Tune, TheTablesTilingIsInTheKernel) {
  ASSERT_EQ(compile("--target emu --tune --mode infer").code, 0);
  const std::string key = "linear_forward 2x512->10 | emu, tf32, rounded operands";
  nlohmann::json all = nlohmann::json::parse(read_text(folder_ / "plan/tuning.json"));
  for (auto [tile, stages] : {std::pair{"64x64", 4}, std::pair{"64x128", 3}}) {
    all["contractions"][key]["chosen"] =
        fmt::format("{}x32 warpgroup stages {} splits 1", tile, stages);
    std::ofstream(folder_ / "plan/tuning.json") << all.dump();
    ASSERT_EQ(compile("--target emu --mode infer").code, 0);
    std::string kernels;
    for (const auto& [name, text] : files_below(folder_ / "plan/kernels"))
      if (name.ends_with(".cu"))
        kernels += text;
    EXPECT_THAT(kernels, HasSubstr(fmt::format(".columns = {}, .stages = {}",
                                               std::string(tile).substr(3), stages)));
  }
  // Of another GPU it says nothing: that one has no such tiling.
  EXPECT_EQ(compile("--target emu:sm_80 --mode infer").code, 0);
}

TEST_F(Tune, TheDeviceMustRunTheKernels) {
  Outcome other = compile("--target emu --tune --device cpu:0");
  EXPECT_EQ(other.code, 1) << other.err;
  EXPECT_THAT(other.err, HasSubstr("`--tune` on `cpu:0`, which does not run kernels for `emu`"));
  EXPECT_FALSE(fs::exists(folder_ / "plan"));
}

} // namespace
} // namespace netc::test
