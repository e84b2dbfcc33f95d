#include "runtime/train/progress.h"

#include <gtest/gtest.h>

#include <cmath>

namespace netc {
namespace {

/// A Progress whose clock, width and output belong to the test.
class ProgressTest : public testing::Test {
protected:
  ProgressOptions options(bool terminal) {
    ProgressOptions made;
    made.terminal = terminal;
    made.clock = [this] { return now; };
    made.width = [this] { return width; };
    made.write = [this](std::string_view text) {
      output += text;
      ++writes;
    };
    return made;
  }

  /// 10 steps an epoch, 3 epochs.
  static ProgressPoint point(int64_t step, double loss = 2) {
    return {step, 30, static_cast<double>(step) / 10, 3, loss, 128};
  }

  std::string taken() {
    std::string text;
    std::swap(text, output);
    return text;
  }

  double now = 100;
  int width = 100;
  std::string output;
  int writes = 0;
};

TEST_F(ProgressTest, TerminalLine) {
  Progress progress(options(true));
  progress.update(point(1));
  EXPECT_EQ(taken(), "\r#.............................  epoch 1/3  step 1/30  loss 2.0000\x1b[K");
  now += 1;
  progress.update(point(2));
  EXPECT_EQ(taken(), "\r##............................  epoch 1/3  step 2/30  loss 2.0000  "
                     "128 images/s  28s left\x1b[K");
  progress.finish();
  EXPECT_EQ(taken(), "\r\x1b[K");
}

TEST_F(ProgressTest, TerminalRedrawsTenTimesASecondAtMost) {
  Progress progress(options(true));
  for (int64_t step = 1; step <= 1000; ++step) {
    now += 0.001;
    progress.update(point(1));
  }
  EXPECT_LE(writes, 11);
  EXPECT_GE(writes, 9);
}

TEST_F(ProgressTest, NeverWiderThanTheTerminal) {
  for (bool unicode : {false, true})
    for (width = 1; width <= 140; ++width) {
      ProgressOptions made = options(true);
      made.unicode = unicode;
      Progress progress(made);
      progress.update(point(1));
      now += 1;
      taken();
      progress.update(point(2));
      std::string text = taken();
      ASSERT_TRUE(text.starts_with("\r") && text.ends_with("\x1b[K"));
      long columns = 0;
      for (char c : text.substr(1, text.size() - 4))
        columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      EXPECT_LE(columns, width - 1) << text;
    }
}

TEST_F(ProgressTest, NarrowTerminalsDropTheLeastImportant) {
  width = 42;
  Progress progress(options(true));
  progress.update(point(1));
  now += 1;
  taken();
  progress.update(point(2));
  EXPECT_EQ(taken(), "\rstep 2/30  loss 2.0000  128 images/s\x1b[K");
}

TEST_F(ProgressTest, ColoursAndBoxCharacters) {
  width = 50;
  ProgressOptions made = options(true);
  made.colours = made.unicode = true;
  Progress progress(made);
  progress.update(point(15));
  EXPECT_EQ(taken(), "\r\x1b[36m━━━━━━━\x1b[0m\x1b[2m━━━━━━\x1b[0m  \x1b[1mepoch 2/3\x1b[0m  "
                     "step 15/30  \x1b[1mloss 2.0000\x1b[0m\x1b[K");
}

TEST_F(ProgressTest, LinesPersistAboveTheProgress) {
  Progress progress(options(true));
  progress.update(point(10));
  taken();
  progress.line("epoch 1  val loss 1.9");
  EXPECT_EQ(taken(), "\r\x1b[Kepoch 1  val loss 1.9\n");
  progress.line("more");
  EXPECT_EQ(taken(), "more\n");
}

TEST_F(ProgressTest, DestructorClears) {
  {
    Progress progress(options(true));
    progress.update(point(1));
    taken();
  }
  EXPECT_EQ(taken(), "\r\x1b[K");
}

TEST_F(ProgressTest, PlainLinesComeWithTimeAndEpochs) {
  ProgressOptions made = options(false);
  made.plain_seconds = 5;
  Progress progress(made);
  for (int64_t step = 1; step <= 12; ++step) {
    progress.update(point(step));
    now += 1;
  }
  EXPECT_EQ(taken(), "epoch 1/3  step 6/30  loss 2.0000  128 images/s  24s left\n"
                     "epoch 1/3  step 10/30  loss 2.0000  128 images/s  20s left\n");
  progress.finish();
  EXPECT_EQ(taken(), "epoch 2/3  step 12/30  loss 2.0000  128 images/s  18s left\n");
  progress.finish();
  EXPECT_EQ(taken(), "");
}

TEST_F(ProgressTest, ActivitiesAreNotTraining) {
  Progress progress(options(true));
  progress.update(point(1));
  now += 1;
  progress.update(point(2));
  taken();
  progress.activity("validating 1/80");
  EXPECT_EQ(taken(), "\rvalidating 1/80\x1b[K");
  progress.activity("validating 2/80");
  EXPECT_EQ(taken(), "") << "not ten times a second";
  now += 500;
  progress.update(point(3));
  EXPECT_NE(taken().find("128 images/s"), std::string::npos);
  now += 1;
  progress.update(point(4));
  EXPECT_NE(taken().find("128 images/s"), std::string::npos);
}

TEST_F(ProgressTest, ActivitiesAreTerminalOnly) {
  Progress progress(options(false));
  progress.activity("validating");
  EXPECT_EQ(taken(), "");
}

TEST_F(ProgressTest, QuietSaysNothing) {
  for (bool terminal : {false, true}) {
    ProgressOptions made = options(terminal);
    made.quiet = true;
    Progress progress(made);
    progress.update(point(10));
    progress.line("result");
    progress.activity("x");
    progress.finish();
  }
  EXPECT_EQ(output, "");
}

TEST_F(ProgressTest, LossIsSmoothedAndNanShows) {
  Progress progress(options(true));
  auto loss_shown = [&](double loss) {
    now += 1;
    progress.update(point(5, loss));
    std::string text = taken();
    size_t at = text.find("loss ");
    return text.substr(at, text.substr(at + 5).find_first_of(" \x1b") + 5);
  };
  EXPECT_EQ(loss_shown(2), "loss 2.0000");
  EXPECT_EQ(loss_shown(4), "loss 3.0101"); // (0.98 * 2 + 4) / 1.98.
  EXPECT_EQ(loss_shown(NAN), "loss nan");
  EXPECT_EQ(loss_shown(1), "loss 1.0000");
}

TEST_F(ProgressTest, UnknownEnd) {
  Progress progress(options(true));
  progress.update({5, 0, 0.5, 0, 1, 8});
  EXPECT_EQ(taken(), "\repoch 1  step 5  loss 1.0000\x1b[K");
}

TEST(Duration, Texts) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(59.4), "59s");
  EXPECT_EQ(duration_text(59.6), "1m 00s");
  EXPECT_EQ(duration_text(185), "3m 05s");
  EXPECT_EQ(duration_text(7380), "2h 03m");
  EXPECT_EQ(duration_text(4 * 86400 + 7 * 3600), "4d 07h");
  EXPECT_EQ(duration_text(NAN), "?");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(INFINITY), "?");
}

} // namespace
} // namespace netc
