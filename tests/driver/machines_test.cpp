// Machines by name and by file.

#include "tools/driver/models.h"

#include "ir/support/error.h"
#include "tests/runtime/temporary_folder.h"

#include <gmock/gmock.h>

#include <fstream>

namespace netc {
namespace {

TEST(Machines, AreFoundByNameAndByFile) {
  EXPECT_EQ(bundled_machines(),
            (std::vector<std::string>{"gtx580-pair", "h200", "k20", "titan-x"}));
  for (const std::string& name : bundled_machines())
    EXPECT_EQ(load_machine(name).name, name);
  EXPECT_EQ(load_machine("k20.yaml"), load_machine("k20"));
  TemporaryFolder folder;
  const std::string file = (folder / "mine.yaml").string();
  std::ofstream(file) << "name: mine\ndevices:\n  - {name: a, gflops: 1, compute_efficiency: 1, "
                         "gb_per_second: 1, memory_efficiency: 1}\nlink: {gb_per_second: 1}\n";
  EXPECT_EQ(load_machine(file).devices.size(), 1u);
}

std::string error_of(const std::string& machine) {
  try {
    load_machine(machine);
  } catch (const UserError& error) {
    return error.what();
  }
  return {};
}

TEST(Machines, MistakesAreExplained) {
  EXPECT_THAT(error_of("k2O"), testing::HasSubstr("bundled machine `k2O`, did you mean `k20`?"));
  EXPECT_THAT(error_of("."), testing::HasSubstr("the bundled ones are gtx580-pair, h200, k20"));
  TemporaryFolder folder;
  const std::string file = (folder / "mine.yaml").string();
  std::ofstream(file) << "name: mine\n";
  EXPECT_THAT(error_of(file), testing::HasSubstr("the machine needs the key `devices`"));
}

} // namespace
} // namespace netc
