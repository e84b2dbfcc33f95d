// Reading and writing whole files.

#include "ir/support/files.h"

#include "ir/support/error.h"
#include "tests/runtime/temporary_folder.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

TEST(Files, AreReadAsTheyWereWritten) {
  TemporaryFolder folder;
  for (const std::string& text : {std::string(), std::string("a\0\r\nb", 5)}) {
    write_text(folder.path() / "file", text, "");
    EXPECT_EQ(read_text(folder.path() / "file"), text);
  }
}

TEST(Files, WhatIsNoFileIsNotRead) {
  TemporaryFolder folder;
  EXPECT_EQ(read_text(folder.path() / "absent"), std::nullopt);
  EXPECT_EQ(read_text(folder.path()), std::nullopt);
}

TEST(Files, AFolderIsNotWritten) {
  TemporaryFolder folder;
  EXPECT_THROW(write_text(folder.path(), "text", ""), RuntimeError);
}

} // namespace
} // namespace netc::test
